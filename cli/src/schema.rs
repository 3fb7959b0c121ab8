//! `trackdrop schema`: the schemas of a warehouse's tables and views, from the definition that the Parquet files use, too.

use crate::{
    args::{BigquerySchemaArguments, SchemaCommand},
    output::line,
};
use anyhow::Context;
use serde_json::{Map, Value, json};
use trackdrop_scenes::sql;
use trackdrop_tables::schema::{REQUESTS, SCENES, TRACKS, VIEWS};

/// What a warehouse holds; `detections` is a file format only.
const TABLES: [&trackdrop_tables::schema::Table; 3] = [&TRACKS, &REQUESTS, &SCENES];

pub(crate) fn schema(command: &SchemaCommand) -> anyhow::Result<()> {
    match command {
        SchemaCommand::Bigquery(arguments) => bigquery(arguments),
    }
}

/// One file a table (`NAME.json`, BigQuery's schema file), one a view (`NAME.sql`) and one a table function (`NAME_between.function`); or all of it
/// as JSON on standard output.
fn bigquery(arguments: &BigquerySchemaArguments) -> anyhow::Result<()> {
    let Some(folder) = &arguments.out else {
        let tables: Map<String, Value> = TABLES.iter().map(|table| (table.name.to_owned(), table.bigquery())).collect();
        let views: Map<String, Value> = views().map(|(name, sql)| (name, sql.into())).collect();
        let functions: Map<String, Value> = functions().map(|(name, sql)| (name, sql.into())).collect();
        let all = json!({ "tables": tables, "views": views, "functions": functions });
        line!("{}", serde_json::to_string_pretty(&all)?);
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
    for (name, sql) in views() {
        write(format!("{name}.sql"), sql)?;
    }
    for (name, sql) in functions() {
        write(format!("{name}.function"), sql)?;
    }
    Ok(())
}

/// The views by name: those of tracks, and those of scenes.
fn views() -> impl Iterator<Item = (String, String)> {
    let of_tracks = VIEWS.iter().map(|&(name, sql)| (name.to_owned(), sql.to_owned()));
    of_tracks.chain(sql::VIEWS.iter().map(|name| ((*name).to_owned(), sql::bigquery(name, false))))
}

/// The table functions of a span of uploads.
fn functions() -> impl Iterator<Item = (String, String)> {
    sql::VIEWS.iter().map(|name| (format!("{name}_between"), sql::bigquery(name, true)))
}
