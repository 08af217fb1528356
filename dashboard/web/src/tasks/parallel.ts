/** Do something with each of many, a few at a time: as fast as a person can watch, without flooding the server. */
export async function inParallel<T>(
  items: readonly T[],
  act: (item: T) => Promise<void>,
  width = 6,
): Promise<void> {
  const rest = [...items];
  const worker = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}
