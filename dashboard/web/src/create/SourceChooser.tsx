import type { ClientConfig } from "../api/types";
import { LinksField } from "./LinksField";
import { MarketplacePicker } from "./MarketplacePicker";
import { UploadDrop } from "./UploadDrop";
import type { Sources } from "./useSources";

interface Props {
  given: Sources;
  config: ClientConfig;
  fault: string | null;
  changed: () => void;
}

/** The part of the form that names the plugin, by the way that is chosen. */
export function SourceChooser({ given, config, fault, changed }: Props) {
  const { way, uploading, link, setLink, entries, picks, setPicks, setWay, sameFile } = given;
  switch (way) {
    case "upload":
      return (
        <UploadDrop
          uploading={uploading}
          maxBytes={config.limits.maxUploadBytes}
          fault={fault}
          same={sameFile?.upload?.key ?? null}
        />
      );
    case "link":
      return (
        <LinksField
          text={link}
          entries={entries}
          fault={fault}
          onChange={(text) => {
            setLink(text);
            changed();
          }}
        />
      );
    case "marketplace":
      return (
        <MarketplacePicker
          picks={picks}
          fault={fault}
          onType={() => setWay("link")}
          onChange={(next) => {
            setPicks(next);
            changed();
          }}
        />
      );
  }
}
