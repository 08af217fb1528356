import { useId } from "react";
import styles from "./Segments.module.css";

interface Props<Value extends string> {
  label: string;
  value: Value;
  options: readonly { value: Value; label: string }[];
  onChange: (value: Value) => void;
  wide?: boolean;
}

/** One of a few, side by side: radio buttons that look like one control. */
export function Segments<Value extends string>(props: Props<Value>) {
  const { label, value, options, onChange, wide = false } = props;
  const name = useId();
  return (
    <fieldset className={wide ? `${styles.segments} ${styles.wide}` : styles.segments}>
      <legend className="unseen">{label}</legend>
      {options.map((option) => (
        <label key={option.value} className={styles.segment}>
          <input
            type="radio"
            className={styles.radio}
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
