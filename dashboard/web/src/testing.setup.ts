/** Tests read both languages, as the page does once it has loaded them. */
import { loadLanguage } from "./i18n";

await loadLanguage("zh-CN");
