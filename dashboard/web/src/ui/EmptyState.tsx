import type { ReactNode } from "react";
import styles from "./EmptyState.module.css";
import { Icon, type IconName } from "./Icon";

interface Props {
  icon: IconName;
  title: string;
  /** The page has nothing else, so this is its heading. */
  isPage?: boolean;
  children?: ReactNode;
  action?: ReactNode;
}

/** Says in one sentence why there is nothing to see, and offers what to do. */
export function EmptyState(props: Props) {
  const Heading = props.isPage ? "h1" : "h2";
  return (
    <div className={styles.empty}>
      <Icon name={props.icon} size={32} />
      <Heading>{props.title}</Heading>
      {props.children && <div className={styles.text}>{props.children}</div>}
      {props.action}
    </div>
  );
}
