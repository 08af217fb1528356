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
      if (wanted) void section.current?.requestFullscreen?.();
      else void document.exitFullscreen();
    },
  ];
}
