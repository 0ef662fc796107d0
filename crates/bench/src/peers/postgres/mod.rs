//! `PostgreSQL` on one connection, fed with the rows that the ledger's own store would write: a transaction for each
//! thousand events, COPY for events, unnest for the rest.
//!
//! It is given every advantage that such a store could have: the histories of all live calls are kept in memory, calls
//! get their keys here, and nothing is read back. The sketches of percentiles are left out, and so is the text index unless
//! it is asked for.

mod rows;

use std::collections::HashMap;

use futures_util::{future::try_join_all, pin_mut};
use pegcount::operations::chain;
use pegcount_calls::{History, Tariff, fold};
use tokio_postgres::{
    Client, NoTls, Statement,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use crate::{
    calls::{live::Events, name},
    store::ingest::{Amount, Ledger, tell_all},
    table::{Figure, Results},
};
use rows::{Column, Kept, Rows};

/// As many as the ledger's writer takes.
const EVENTS_A_COMMIT: usize = 1_000;
const EVENT_COLUMNS: [Type; 8] =
    [Type::INT8, Type::INT8, Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8, Type::INT2, Type::TEXT];

/// A database, and what is known of the calls in it.
struct Postgres {
    client: Client,
    statements: Statements,
    calls: HashMap<u64, Kept>,
    next_key: i64,
    tariff: Tariff,
    text_index: bool,
    /// How long was spent here rather than in the database.
    folding: std::time::Duration,
}

struct Statements {
    events: Statement,
    calls: Statement,
    documents: Statement,
    meta: Statement,
    rollups: Statement,
}

fn said(error: &tokio_postgres::Error) -> String {
    format!("PostgreSQL: {}", chain(error))
}

/// Measures it.
///
/// # Errors
/// When the database does not do it.
pub async fn run(url: &str, text_index: bool, amount: Amount, results: &Results) -> Result<(), String> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(|error| said(&error))?;
    let connection = tokio::spawn(connection);
    let version: String = ask(&client, "SHOW server_version").await?;
    let fsync = ask(&client, "SHOW fsync").await?;
    let commit = ask(&client, "SHOW synchronous_commit").await?;
    if (fsync.as_str(), commit.as_str()) != ("on", "on") {
        return Err("PostgreSQL does not write durably: fsync and synchronous_commit must be on".to_owned());
    }
    client.batch_execute(include_str!("schema.sql")).await.map_err(|error| said(&error))?;
    if text_index {
        client.batch_execute(include_str!("text_index.sql")).await.map_err(|error| said(&error))?;
    }
    let statements = Statements::prepare(&client).await.map_err(|error| said(&error))?;
    let mut postgres = Postgres {
        client,
        statements,
        calls: HashMap::new(),
        next_key: 0,
        tariff: Tariff::default(),
        text_index,
        folding: std::time::Duration::ZERO,
    };
    let begun = std::time::Instant::now();
    let name = if text_index { "ingest, PostgreSQL with a text index" } else { "ingest, PostgreSQL" };
    let figure = tell_all(&mut postgres, amount, results, Figure::of(name, "events/s", Vec::new())).await?;
    let share = postgres.folding.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    let rounds = figure.note.clone().unwrap_or_default();
    let note = format!("{version}, one connection; {share:.0} % of the time is the client's own; {rounds}");
    drop(postgres);
    let ended = connection.await.map_err(|error| error.to_string())?;
    ended.map_err(|error| said(&error))?;
    results.put(figure.with_note(&note))
}

async fn ask(client: &Client, sql: &str) -> Result<String, String> {
    let row = client.query_one(sql, &[]).await.map_err(|error| said(&error))?;
    row.try_get(0).map_err(|error| said(&error))
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            events: client.prepare(include_str!("events.sql")).await?,
            calls: client.prepare(include_str!("calls.sql")).await?,
            documents: client.prepare(include_str!("documents.sql")).await?,
            meta: client.prepare(include_str!("meta.sql")).await?,
            rollups: client.prepare(include_str!("rollups.sql")).await?,
        })
    }
}

#[async_trait::async_trait]
impl Ledger for Postgres {
    async fn take(&mut self, events: Vec<Events>) -> Result<(), String> {
        let mut batch = Vec::new();
        let mut size = 0;
        for one in events {
            size += one.told.len();
            batch.push(one);
            if size >= EVENTS_A_COMMIT {
                self.commit(&std::mem::take(&mut batch)).await?;
                size = 0;
            }
        }
        if batch.is_empty() { Ok(()) } else { self.commit(&batch).await }
    }
}

impl Postgres {
    /// Sorts events to their calls, folds each call once, and writes everything in one transaction.
    async fn commit(&mut self, batch: &[Events]) -> Result<(), String> {
        let begun = std::time::Instant::now();
        let (keys, rows) = self.rows_of(batch)?;
        self.folding += begun.elapsed();
        self.write(batch, &keys, &rows).await.map_err(|error| said(&error))
    }

    /// The key of the call of each group of events, and the rows that change.
    fn rows_of(&mut self, batch: &[Events]) -> Result<(Vec<i64>, Rows), String> {
        let mut keys = Vec::with_capacity(batch.len());
        let mut touched = Vec::with_capacity(batch.len());
        for events in batch {
            let next_key = &mut self.next_key;
            let kept = self.calls.entry(events.number).or_insert_with(|| {
                *next_key += 1;
                Kept::new(*next_key)
            });
            for told in &events.told {
                match &mut kept.history {
                    Some(history) => history.insert(told.event.clone()),
                    None => kept.history = Some(History::opened_by(told.event.clone())),
                }
            }
            keys.push(kept.key);
            if !std::mem::replace(&mut kept.touched, true) {
                touched.push(events);
            }
        }
        let mut rows = Rows::new(self.text_index);
        for events in touched {
            let Some(kept) = self.calls.get_mut(&events.number) else { continue };
            kept.touched = false;
            let Some(call) = kept.history.as_ref().map(fold) else { continue };
            let bill = self.tariff.bill(&call);
            rows.add(kept, (events.organization.0, name(events.number)?.as_str()), &call, &bill)?;
        }
        Ok((keys, rows))
    }

    async fn write(&self, batch: &[Events], keys: &[i64], rows: &Rows) -> Result<(), tokio_postgres::Error> {
        let Self { client, statements, .. } = self;
        client.batch_execute("BEGIN").await?;
        let sink = client.copy_in(&statements.events).await?;
        let writer = BinaryCopyInWriter::new(sink, &EVENT_COLUMNS);
        pin_mut!(writer);
        for (events, key) in batch.iter().zip(keys) {
            for report in events.told.iter().map(|told| &told.report) {
                let (at, received) = (report.at.millis(), report.received_at.millis());
                let (id, source) = (report.id.as_str(), report.source.as_str());
                let data = report.data.as_json_text();
                let cells: [&(dyn ToSql + Sync); 8] =
                    [key, &at, &id, &report.kind, &source, &received, &1_i16, &data];
                writer.as_mut().write(&cells).await?;
            }
        }
        writer.finish().await?;
        // Sent one behind the other, without waiting for answers in between.
        let counts = rows.counts();
        let parts = [
            (&statements.calls, &rows.calls),
            (&statements.documents, &rows.documents),
            (&statements.meta, &rows.meta),
            (&statements.rollups, &counts),
        ];
        let sent = parts.into_iter().filter(|(_, columns)| !columns.0.is_empty()).map(
            |(statement, columns)| async move {
                let columns: Vec<&(dyn ToSql + Sync)> = columns.0.iter().map(Column::as_parameter).collect();
                client.execute(statement, &columns).await.map(drop)
            },
        );
        try_join_all(sent).await?;
        client.batch_execute("COMMIT").await
    }
}
