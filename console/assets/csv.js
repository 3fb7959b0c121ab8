// Rows as CSV, as `trackdrop query --format csv` writes them.

const field = (value) => {
  if (value === null) return "";
  // An empty text is no NULL.
  return value === "" || /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
};

export function csvOf({ columns, rows }) {
  const lines = [columns.map(({ name }) => name), ...rows];
  return lines.map((line) => line.map(field).join(",") + "\n").join("");
}

/** Lets the browser save rows as a file. */
export const saveCsv = (name, answer) => saveFile(`${name}.csv`, "text/csv", csvOf(answer));

/** Lets the browser save a text as a file. */
export function saveFile(name, type, text) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(new Blob([text], { type }));
  anchor.download = name;
  anchor.click();
  // The browser has taken it over once the click has been handled.
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
}
