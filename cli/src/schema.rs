//! `trackdrop schema`: what the tables and views of a warehouse are made of, from the definition that the Parquet files come from.

use crate::{
    args::{BigquerySchemaArguments, SchemaCommand},
    output::line,
};
use anyhow::Context;
use serde_json::{Map, Value, json};
use trackdrop_tables::schema::{REQUESTS, TRACKS, VIEWS};

/// What a warehouse holds; `detections` is a file format only.
const TABLES: [&trackdrop_tables::schema::Table; 2] = [&TRACKS, &REQUESTS];

pub(crate) fn schema(command: &SchemaCommand) -> anyhow::Result<()> {
    match command {
        SchemaCommand::Bigquery(arguments) => bigquery(arguments),
    }
}

/// One file a table (`NAME.json`, BigQuery's schema file) and one a view (`NAME.sql`); or all of it as JSON on standard output.
fn bigquery(arguments: &BigquerySchemaArguments) -> anyhow::Result<()> {
    let Some(folder) = &arguments.out else {
        let tables: Map<String, Value> = TABLES.iter().map(|table| (table.name.to_owned(), table.bigquery())).collect();
        let views: Map<String, Value> = VIEWS.iter().map(|&(name, sql)| (name.to_owned(), sql.into())).collect();
        line!("{}", serde_json::to_string_pretty(&json!({ "tables": tables, "views": views }))?);
        return Ok(());
    };
    std::fs::create_dir_all(folder).with_context(|| format!("the folder {folder:?} can't be made"))?;
    let write = |file: String, text: String| {
        let path = folder.join(file);
        std::fs::write(&path, text + "\n").with_context(|| format!("{path:?} can't be written"))
    };
    for table in TABLES {
        write(format!("{}.json", table.name), serde_json::to_string_pretty(&table.bigquery())?)?;
    }
    for (name, sql) in VIEWS {
        write(format!("{name}.sql"), (*sql).to_owned())?;
    }
    Ok(())
}
