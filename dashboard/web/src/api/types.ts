/**
 * What the server's answers and messages carry, taken from the generated schema (`repack_contract` is the source).
 * The server leaves out what is null, so a field that may be null may also be absent.
 */

import type { components } from "./schema.gen";

export type Schemas = components["schemas"];

/** As it travels: every field that may be null may be missing. */
export type Wire<T> = T extends readonly (infer Item)[]
  ? Wire<Item>[]
  : T extends object
    ? { [K in keyof T as null extends T[K] ? never : K]: Wire<T[K]> } & {
        [K in keyof T as null extends T[K] ? K : never]?: Wire<T[K]> | null | undefined;
      }
    : T;

export type Phase = Schemas["Phase"];
export type Stage = Schemas["Stage"];
export type StageState = Schemas["StageState"];
export type SourceType = Schemas["SourceType"];
export type Mode = Schemas["Mode"];
export type Arch = Schemas["Arch"];

export type Source = Wire<Schemas["Source"]>;
export type Spec = Wire<Schemas["Spec"]>;
export type Status = Wire<Schemas["Status"]>;
export type Plan = Wire<Schemas["Plan"]>;
export type Artifact = Wire<Schemas["Artifact"]>;
export type Verification = Wire<Schemas["Verification"]>;
export type StageProgress = Wire<Schemas["StageProgress"]>;
export type Progress = Wire<Schemas["Progress"]>;
export type TaskView = Wire<Schemas["TaskView"]>;
export type TaskList = Wire<Schemas["TaskList"]>;
export type LogLine = Wire<Schemas["LogLine"]>;
export type LogPage = Wire<Schemas["LogPage"]>;
export type OperatorHealth = Wire<Schemas["OperatorHealth"]>;
export type Upload = Wire<Schemas["Upload"]>;
export type ClientConfig = Wire<Schemas["ClientConfig"]>;
export type MarketplacePlugin = Wire<Schemas["MarketplacePlugin"]>;
export type MarketplacePage = Wire<Schemas["MarketplacePage"]>;
export type MarketplaceVersions = Wire<Schemas["MarketplaceVersions"]>;
export type StorageReport = Wire<Schemas["StorageReport"]>;
export type EndedTask = Wire<Schemas["EndedTask"]>;
export type TaskSights = Wire<Schemas["TaskSights"]>;
export type PackageCompanions = Wire<Schemas["PackageCompanions"]>;
export type PodSight = Wire<Schemas["PodSight"]>;
export type Problem = Omit<Wire<Schemas["Problem"]>, "type" | "hint" | "instance" | "details"> &
  Partial<Pick<Wire<Schemas["Problem"]>, "type" | "hint" | "instance" | "details">>;

/** What the form says of a task; the server fills in the rest. */
export type NewSpec = Pick<Spec, "source" | "targets"> & Partial<Spec>;
export interface NewTask {
  namespace?: string;
  name?: string;
  rerunOf?: string;
  spec: NewSpec;
}
