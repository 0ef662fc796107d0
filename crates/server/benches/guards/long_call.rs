//! One event of a call that has very many already, as the intake takes it in.

use std::{error::Error, path::Path, sync::Arc};

use pegcount::{
    intake::{CallReference, Incoming, Intake, IntakeParts, TariffsHandle},
    live::Live,
    metrics::Metrics,
    organizations::{Names, PerOrganization},
    sources,
    vocabulary::{self, Told, source_name},
};
use pegcount_calls::{CallName, OrganizationName, Timestamp};
use pegcount_store::{Opening, OrganizationNumber, Store, open_as};

use crate::samples;

const OURS: OrganizationNumber = OrganizationNumber(1);
const CALL: &str = "guard";
/// Events taken in at once while the store is filled.
const AT_ONCE: usize = 1_000;

/// Makes a store of one call in progress with so many events.
pub fn fill(folder: &Path, events: u32) -> Result<(), Box<dyn Error>> {
    within(async {
        let (store, intake) = open(folder).await?;
        store.create_organization(&OrganizationName::new("org_1")?, Some(OURS), None).await?;
        let told = samples::call(CALL, events, false).iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for some in told.chunks(AT_ONCE) {
            accept(&intake, some.to_vec()).await?;
        }
        drop(intake);
        Ok(store.close().await?)
    })
}

/// Takes in one more event, which reads all the others, and then so many, one at a time.
pub fn take(folder: &Path, events: u32, rounds: u32) -> Result<(), Box<dyn Error>> {
    within(async {
        let (_store, intake) = open(folder).await?;
        for number in events..=events + rounds {
            accept(&intake, vec![read(&samples::of_the_talk(CALL, number))?]).await?;
        }
        Ok(())
    })
}

fn within(work: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

async fn open(folder: &Path) -> Result<(Arc<dyn Store>, Intake), Box<dyn Error>> {
    let opening = Opening { fold: Some(vocabulary::fold_reports), ..Opening::default() };
    let store: Arc<dyn Store> = Arc::from(open_as(&folder.join("calls.db").to_string_lossy(), opening)?);
    let (intake, _) = Intake::start(IntakeParts {
        store: Arc::clone(&store),
        live: Arc::new(Live::of(store.open_calls().await?)),
        names: Names::new(Arc::clone(&store)),
        tariffs: TariffsHandle::default(),
        masks: PerOrganization::default(),
        metrics: Arc::new(Metrics::default()),
        outside: Vec::new(),
    })?;
    Ok((store, intake))
}

async fn accept(intake: &Intake, told: Vec<Told>) -> Result<(), Box<dyn Error>> {
    let call = CallReference::Named(CallName::new(CALL)?);
    let outcomes = intake
        .accept(vec![Incoming { organization: OURS, source: source_name("native"), call, told }])
        .await?;
    match outcomes.iter().flatten().find(|outcome| **outcome != pegcount::intake::Outcome::Accepted) {
        None => Ok(()),
        Some(outcome) => Err(format!("an event was not taken in: {outcome:?}").into()),
    }
}

fn read(event: &serde_json::Value) -> Result<Told, Box<dyn Error>> {
    let received_at = Timestamp::from_millis(samples::BEGIN + 3_600_000);
    let read = sources::native::LineReader::new(received_at).read(&event.to_string())?;
    let telling = read.tellings.into_iter().next().ok_or("a line is an event")?;
    Ok(vocabulary::tell(telling)?)
}
