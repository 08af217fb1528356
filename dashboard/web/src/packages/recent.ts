/** The packages that exist, newest first: one entry for each artifact that can be downloaded. Pure. */

import type { Artifact, TaskView } from "../api/types";

export interface PackageFile {
  task: TaskView;
  artifact: Artifact & { uri: string };
  /** When it was made, as ISO 8601. */
  madeAt: string;
}

export function packageFiles(tasks: readonly TaskView[], words = ""): PackageFile[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return tasks
    .flatMap((task) =>
      (task.status.artifacts ?? []).flatMap((artifact): PackageFile[] => {
        const { uri } = artifact;
        if (!uri) return [];
        const madeAt =
          artifact.verification?.verifiedAt ?? task.status.completionTime ?? task.createdAt ?? "";
        return [{ task, artifact: { ...artifact, uri }, madeAt }];
      }),
    )
    .filter(({ artifact, task }) => {
      const text = `${artifact.name ?? ""} ${task.name}`.toLowerCase();
      return wanted.every((word) => text.includes(word));
    })
    .sort((a, b) => b.madeAt.localeCompare(a.madeAt));
}
