import { createContext, type ReactNode, useContext, useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { useWords } from "../i18n";
import { Icon } from "../ui/Icon";
import styles from "./FileDrop.module.css";

interface Dropped {
  files: readonly File[];
  take: () => void;
}

const Context = createContext<Dropped>({ files: [], take: () => {} });

/** Files that were dropped somewhere on the page and that no form has taken yet. */
export const useDropped = () => useContext(Context);

const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;

/** A file may be dropped anywhere: the form opens with it. */
export function FileDrop({ children }: { children: ReactNode }) {
  const { t } = useWords();
  const [, navigate] = useLocation();
  const [files, setFiles] = useState<readonly File[]>([]);
  const over = useDragging((dropped) => {
    setFiles(dropped);
    navigate("/new");
  });
  const value = useMemo(() => ({ files, take: () => setFiles([]) }), [files]);
  return (
    <Context.Provider value={value}>
      {children}
      {over && (
        <div className={styles.veil}>
          <div className={styles.words}>
            <Icon name="upload" size={32} />
            {t("create.drop.over")}
          </div>
        </div>
      )}
    </Context.Provider>
  );
}

/** Whether files are held over the window. Elements inside fire enter and leave too, so they are counted. */
function useDragging(onDrop: (files: File[]) => void): boolean {
  const [over, setOver] = useState(false);
  const drop = useRef(onDrop);
  drop.current = onDrop;
  useEffect(() => {
    let depth = 0;
    const stop = new AbortController();
    const on = (name: "dragenter" | "dragover" | "dragleave" | "drop", act: (event: DragEvent) => void) =>
      window.addEventListener(name, (event) => carriesFiles(event) && act(event), { signal: stop.signal });
    const move = (by: number) => {
      depth = Math.max(0, depth + by);
      setOver(depth > 0);
    };
    on("dragenter", () => move(1));
    on("dragleave", () => move(-1));
    on("dragover", (event) => event.preventDefault());
    on("drop", (event) => {
      event.preventDefault();
      move(-depth);
      const dropped = [...(event.dataTransfer?.files ?? [])];
      if (dropped.length > 0) drop.current(dropped);
    });
    return () => stop.abort();
  }, []);
  return over;
}
