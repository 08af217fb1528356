/** ANSI colours of a log line as classes. Pure; every other escape sequence is left out. Text stays text. */

export interface Span {
  text: string;
  className: string;
}

// Built from a text, because a linter takes control characters in a pattern for a mistake.
const ESCAPE = new RegExp(
  [
    "\\u001b\\[([0-9;?]*)([A-Za-z])", // colours and movements
    "\\u001b\\][^\\u0007]*(?:\\u0007|$)", // titles and links
    "\\u001b[@-Z\\\\-_]",
    "[\\u0000-\\u0008\\u000b-\\u001f\\u007f]",
  ].join("|"),
  "g",
);

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

interface Style {
  bold: boolean;
  dim: boolean;
  colour: string | null;
}

const PLAIN: Style = { bold: false, dim: false, colour: null };

function styled(style: Style, codes: string): Style {
  let result = style;
  for (const code of codes.split(";").map(Number)) {
    if (code === 0) result = PLAIN;
    else if (code === 1) result = { ...result, bold: true };
    else if (code === 2) result = { ...result, dim: true };
    else if (code === 22) result = { ...result, bold: false, dim: false };
    else if (code === 39) result = { ...result, colour: null };
    // The arguments of 256 and true colours are no codes of their own.
    else if (code === 38 || code === 48) return result;
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
      result = { ...result, colour: COLOURS[code % 10] ?? null };
    }
  }
  return result;
}

function classOf(style: Style): string {
  const names = [style.bold && "ansi-bold", style.dim && "ansi-dim", style.colour && `ansi-${style.colour}`];
  return names.filter(Boolean).join(" ");
}

export function spansOf(text: string): Span[] {
  const spans: Span[] = [];
  let style = PLAIN;
  let from = 0;
  const add = (piece: string) => piece !== "" && spans.push({ text: piece, className: classOf(style) });
  for (const match of text.matchAll(ESCAPE)) {
    add(text.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === "m") style = styled(style, match[1] ?? "");
  }
  add(text.slice(from));
  return spans;
}
