import { Modal } from "@mantine/core";
import type { ReactNode } from "react";
import { useWords } from "../i18n";
import styles from "./Dialog.module.css";

interface Props {
  opened: boolean;
  onClose: () => void;
  title: string;
  /** Width in px. */
  width: number;
  fullScreen?: boolean;
  children: ReactNode;
}

/** A dialog: takes the focus and gives it back, closes by Escape. Put together by hand, because Mantine's has a second
 * page header in it, and a scroll lock that writes a style element. */
export function Dialog({ opened, onClose, title, width, fullScreen = false, children }: Props) {
  const { t } = useWords();
  return (
    <Modal.Root
      opened={opened}
      onClose={onClose}
      size={width}
      fullScreen={fullScreen}
      lockScroll={false}
      transitionProps={{ duration: 120 }}
    >
      <Modal.Overlay />
      <Modal.Content>
        <div className={styles.head}>
          <Modal.Title>{title}</Modal.Title>
          <Modal.CloseButton aria-label={t("action.close")} />
        </div>
        <Modal.Body>{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
