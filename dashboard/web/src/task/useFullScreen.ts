import { useEffect, useState } from "react";

/** The browser's own full screen where it has one; Escape leaves it. */
export function useFullScreen(
  section: React.RefObject<HTMLElement | null>,
): [boolean, (full: boolean) => void] {
  const [full, setFull] = useState(false);
  useEffect(() => {
    const onChange = () => setFull(document.fullscreenElement !== null);
    document.addEventListener("fullscreenchange", onChange);
    return () => document.removeEventListener("fullscreenchange", onChange);
  }, []);
  return [
    full,
    (wanted) => {
      // A browser may refuse, and one that is asked too late has left it already: the page stays as it is.
      const done = wanted ? section.current?.requestFullscreen?.() : document.exitFullscreen?.();
      done?.catch(() => {});
    },
  ];
}
