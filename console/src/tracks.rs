//! One line per track, as columns.

use crate::{Console, json::Text, problem::Problem, requests};
use axum::extract::{Path, State};
use serde_json::{Value, json};
use std::sync::Arc;
use trackdrop_database::quoted;
use trackdrop_pipeline::names::ResultFile;

/// The columns of the answer, as the query has them.
const NAMES: [&str; 8] = ["id", "class", "first", "last", "rows", "score", "from_s", "to_s"];

pub(crate) async fn all(State(console): State<Arc<Console>>, Path(request): Path<String>) -> Result<Text, Problem> {
    let manifest = requests::found(&console, &request).await?;
    let file = console.files.get(&*console.cloud.storage, &ResultFile::Tracks.object(&manifest.request_id)).await?;
    let columns = tokio::task::spawn_blocking(move || -> Result<String, Problem> {
        let file = quoted(&file.path().to_string_lossy());
        let connection = console.connection()?;
        // The class is the one that most of the rows have, as in the view track_summary.
        let mut statement = connection.prepare(&format!(
            "SELECT track_id, ARG_MAX(class_id, (votes, -class_id)), MIN(first), MAX(last), SUM(votes)::BIGINT,
                    (SUM(scores) / SUM(votes))::DOUBLE, MIN(from_s), MAX(to_s)
             FROM (SELECT track_id, class_id, COUNT(*) AS votes, MIN(frame_index) AS first, MAX(frame_index) AS last, SUM(score) AS scores,
                          MIN(time_s) AS from_s, MAX(time_s) AS to_s
                   FROM read_parquet({file}) GROUP BY track_id, class_id)
             GROUP BY track_id ORDER BY MIN(first), track_id"
        ))?;
        // As text: an hour can have tens of thousands of tracks, and values take more memory.
        let mut columns: [String; 8] = Default::default();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for (place, column) in columns.iter_mut().enumerate() {
                let value = match place {
                    5..=7 => Value::from(row.get::<_, f64>(place)?),
                    _ => Value::from(row.get::<_, i64>(place)?),
                };
                if !column.is_empty() {
                    column.push(',');
                }
                column.push_str(&value.to_string());
            }
        }
        let mut statement = connection
            .prepare(&format!("SELECT class_id, MIN(class_name) FROM read_parquet({file}) GROUP BY class_id ORDER BY class_id"))?;
        let mut classes = Vec::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            classes.push(json!([row.get::<_, i64>(0)?, row.get::<_, String>(1)?]));
        }
        let columns = NAMES.iter().zip(columns).map(|(name, column)| format!(",\"{name}\":[{column}]"));
        Ok(format!("{{\"classes\":{}{}}}", Value::from(classes), columns.collect::<String>()))
    })
    .await??;
    Ok(Text(columns))
}
