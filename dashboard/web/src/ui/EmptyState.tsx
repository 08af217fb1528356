import type { ReactNode } from "react";
import styles from "./EmptyState.module.css";
import { Icon, type IconName } from "./Icon";

/** Says in one sentence why there is nothing to see, and offers what to do. */
export function EmptyState(props: {
  icon: IconName;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={styles.empty}>
      <Icon name={props.icon} size={32} />
      <h2>{props.title}</h2>
      {props.children && <div className={styles.text}>{props.children}</div>}
      {props.action}
    </div>
  );
}
