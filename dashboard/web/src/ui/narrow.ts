import { useMediaQuery } from "@mantine/hooks";

/** Phones: rows become two-line cards. The same width stands in the CSS modules. */
export function useIsNarrow(): boolean {
  return useMediaQuery("(max-width: 700px)", window.matchMedia("(max-width: 700px)").matches) ?? false;
}
