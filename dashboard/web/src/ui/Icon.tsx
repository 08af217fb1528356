const PATHS = {
  check: "M4 12.5l5 5L20 6.5",
  cross: "M6 6l12 12M18 6L6 18",
  circle: "M12 4a8 8 0 100 16 8 8 0 000-16z",
  half: "M12 4a8 8 0 100 16 8 8 0 000-16z",
  pause: "M9 5v14M15 5v14",
  dash: "M6 12h12",
  spinner: "M12 3a9 9 0 109 9",
  download: "M12 4v11m0 0l-4.5-4.5M12 15l4.5-4.5M5 20h14",
  upload: "M12 16V5m0 0L7.5 9.5M12 5l4.5 4.5M5 20h14",
  copy: "M9 9h10v11H9zM5 15V4h10",
  warning: "M12 4L2.5 20h19zM12 10v4m0 3v.01",
  slashed: "M12 4a8 8 0 100 16 8 8 0 000-16zM6.5 17.5l11-11",
  plus: "M12 5v14M5 12h14",
  search: "M10.5 4a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM15.5 15.5L21 21",
  back: "M15 5l-7 7 7 7",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  retry: "M20 12a8 8 0 11-2.3-5.7M20 3v5h-5",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19",
  moon: "M20 14.5A8.5 8.5 0 119.5 4a7 7 0 0010.5 10.5z",
  system: "M3 5h18v11H3zM9 20h6M12 16v4",
  language: "M4 6h9M8.5 4v2M6 6c.5 4 3 7 6 8.5M11.5 6C11 10 8 13 4.5 14.5M12.5 20l4-9 4 9M14 17h5",
  shield: "M12 3l7 3v5c0 5-3 8.5-7 10-4-1.500-7-5-7-10V6zM8.500 12l2.500 2.500 4.500-5",
  box: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8",
  wrap: "M4 6h16M4 12h13a3 3 0 010 6h-4m0 0l2-2m-2 2l2 2M4 18h5",
  expand: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  shrink: "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5",
  gear: "M12 9a3 3 0 100 6 3 3 0 000-6zM19 12a7 7 0 00-.1-1.300l2-1.500-2-3.400-2.300 1a7 7 0 00-2.200-1.300L14 3h-4l-.4 2.500a7 7 0 00-2.200 1.300l-2.300-1-2 3.400 2 1.500a7 7 0 000 2.600l-2 1.500 2 3.400 2.300-1a7 7 0 002.200 1.300L10 21h4l.4-2.500a7 7 0 002.200-1.300l2.300 1 2-3.400-2-1.500A7 7 0 0019 12z",
  chart: "M4 20V4M4 20h16M8 17v-5M12.500 17V8M17 17v-8",
  keyboard: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8",
  out: "M14 4h6v16h-6M10 8l-4 4 4 4M6 12h9",
  clock: "M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v4l3 2",
} as const;

export type IconName = keyof typeof PATHS;

/** A drawing beside words; never the only carrier of a meaning. */
export function Icon({ name, spin = false, size }: { name: IconName; spin?: boolean; size?: number }) {
  return (
    <svg
      className={spin ? "icon spin" : "icon"}
      viewBox="0 0 24 24"
      aria-hidden="true"
      {...(size ? { width: size, height: size, style: { width: size, height: size } } : {})}
    >
      <path d={PATHS[name]} />
      {name === "half" && <path d="M12 4a8 8 0 010 16z" fill="currentColor" stroke="none" />}
    </svg>
  );
}
