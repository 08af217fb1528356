import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { fetchBlob, iconUrl } from "../api/client";
import styles from "./MarketplacePicker.module.css";

/** A plugin's icon by way of our own server; its first letter where it has none. */
export function PluginIcon({ author, name }: { author: string; name: string }) {
  const { data } = useQuery({
    queryKey: ["market", "icon", author, name],
    queryFn: () => fetchBlob(iconUrl(author, name)),
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const url = useObjectUrl(data);
  return (
    <span className={styles.icon} aria-hidden="true">
      {url === null ? name.slice(0, 1).toUpperCase() : <img src={url} alt="" width={32} height={32} />}
    </span>
  );
}

function useObjectUrl(blob: Blob | undefined): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (!blob || blob.size === 0) return;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => {
      URL.revokeObjectURL(made);
      setUrl(null);
    };
  }, [blob]);
  return url;
}
