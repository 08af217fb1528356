import { createTheme, localStorageColorSchemeManager } from "@mantine/core";

/** Read by public/before-paint.js as well, which sets the scheme before the first paint. */
export const colorSchemeManager = localStorageColorSchemeManager({ key: "repack.theme" });

/**
 * Mantine's own defaults fail WCAG AA in 21 places (white on its blue is 3.56:1): a darker shade and automatic contrast
 * mend that. Variables live in tokens.css, not in a style element, so that the page needs no inline style.
 */
export const theme = createTheme({
  autoContrast: true,
  primaryShade: 8,
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
});
