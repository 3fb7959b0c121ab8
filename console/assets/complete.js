// Names of tables and columns, completed while SQL is written.

/** Words that begin a part of a statement, and functions that these tables are asked with. */
const WORDS = ["SELECT", "FROM", "WHERE", "GROUP BY ALL", "GROUP BY", "ORDER BY ALL", "ORDER BY", "LIMIT", "JOIN", "LEFT JOIN", "USING", "HAVING", "DISTINCT", "COUNT(*)", "AVG", "SUM", "MIN", "MAX", "MEDIAN", "ROUND", "FLOOR", "COALESCE", "CASE WHEN", "BETWEEN", "DESC", "WITH", "OVER", "PARTITION BY", "FILTER"];
const MOST = 12;
const WORD = /[A-Za-z_][A-Za-z0-9_]*$/;

/** The tables that a statement names, by the names that their columns may be called by there. */
function namedIn(sql, tables) {
  const named = new Map();
  for (const [, name, alias] of sql.matchAll(/\b(?:FROM|JOIN|,)\s+([a-z_]+)(?:\s+(?:AS\s+)?([a-z_][a-z0-9_]*))?/gi)) {
    const table = tables.find((one) => one.name === name.toLowerCase());
    if (!table) continue;
    named.set(table.name, table);
    if (alias && !WORDS.some((word) => word.split(" ")[0] === alias.toUpperCase()) && !/^(ON|AS|CROSS|INNER|NATURAL|UNION)$/i.test(alias)) named.set(alias, table);
  }
  return named;
}

/** Whether the place is in a text or a remark, where nothing is completed. */
function isInText(before) {
  const bare = before.replace(/--[^\n]*\n/g, "\n");
  return /--[^\n]*$/.test(bare) || (bare.match(/'/g) ?? []).length % 2 === 1;
}

/**
 * What may stand at `caret`: `{from, options}`, where `from` is where the word begins that an option replaces. An option has `text` and `kind`: the type of a
 * column, "table" or "word". `isAsked` is true where somebody asks for all, without a letter.
 */
export function completions(sql, caret, tables, isAsked = false) {
  const before = sql.slice(0, caret);
  const typed = before.match(WORD)?.[0] ?? "";
  const from = caret - typed.length;
  const none = { from, options: [] };
  if (isInText(before)) return none;
  const named = namedIn(sql, tables);
  const columnsOf = (list) => list.flatMap((table) => table.columns.map(({ name, type }) => ({ text: name, kind: type })));
  const owner = sql.slice(0, from).match(/([A-Za-z_][A-Za-z0-9_]*)\.$/)?.[1];
  let found;
  if (owner !== undefined) {
    const table = named.get(owner) ?? tables.find((one) => one.name === owner.toLowerCase());
    if (!table) return none;
    found = columnsOf([table]);
  } else {
    if (typed === "" && !isAsked) return none;
    const all = tables.map(({ name }) => ({ text: name, kind: "table" }));
    const isTable = /\b(FROM|JOIN)\s+$/i.test(sql.slice(0, from));
    const columns = columnsOf(named.size > 0 ? [...new Set(named.values())] : tables);
    found = isTable ? all : [...columns, ...all, ...WORDS.map((text) => ({ text, kind: "word" }))];
  }
  const low = typed.toLowerCase();
  const seen = new Set();
  const fits = found.filter(({ text }) => text.toLowerCase().startsWith(low) && text.toLowerCase() !== low && !seen.has(text) && seen.add(text));
  return { from, options: fits.slice(0, MOST) };
}
