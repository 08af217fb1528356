/** An address may be anything that somebody typed: one that cannot be decoded is shown as it stands. Pure. */
export function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
