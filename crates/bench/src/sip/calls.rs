//! 1,000 calls a second: how many fail, and what CPU time one takes, beside a proxy that does the same calls.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    Network, folder_in, free_port,
    gateway::{Gateway, Used},
    kamailio::{Allocator, Kamailio},
    sipp::{Callee, Caller, Load, Outcome},
};
use crate::table::{Figure, Results};

/// How long the ledger may take to be told of all that happened, after the last call.
const TO_BE_TOLD: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Args)]
pub struct Asked {
    /// New calls each second.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// How many calls, to see whether all go well.
    #[arg(long, default_value_t = 20_000)]
    calls: u32,
    /// How long each is held, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    hold: u64,
    /// How many rounds of CPU time.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many calls each of them has.
    #[arg(long, default_value_t = 4_000)]
    round: u32,
    /// The Kamailio that it is held against.
    #[arg(long)]
    kamailio: Option<PathBuf>,
}

/// What stands between caller and callee.
enum Between {
    Gateway { gateway: Gateway, ended: u64, slowest: Duration },
    Proxy(Kamailio),
}

/// What came of some calls.
struct Round {
    outcome: Outcome,
    cpu: Used,
}

/// Both ends of the calls.
struct Ends<'a> {
    folder: &'a Path,
    caller: SocketAddr,
}

/// Measures it.
///
/// # Errors
/// When a program does not start or end, or tells nothing.
pub async fn run(folder: &Path, asked: Asked, results: &Results) -> Result<(), String> {
    let network = Network::of_this_process();
    let own = folder_in(folder)?;
    let callee_at = free_port(network.callee())?;
    let callee = Callee::start(&own, callee_at).await?;
    let ends = Ends { folder: &own, caller: free_port(network.caller())? };
    let mut gateway = Gateway::start(folder, network, false).await?;
    gateway.lead_to(callee_at).await?;
    let mut ours = Between::Gateway { gateway, ended: 0, slowest: Duration::ZERO };
    let mut theirs = Vec::new();
    for allocator in [Allocator::Usual, Allocator::Tlsf] {
        let Some(program) = &asked.kamailio else { break };
        let address = free_port(network.proxy())?;
        let kamailio = Kamailio::start((program, allocator), &own, address, callee_at).await?;
        theirs.push((Between::Proxy(kamailio), Vec::new()));
    }
    let hold = Duration::from_millis(asked.hold);
    let all = Load { rate: asked.rate, calls: asked.calls, hold };
    let few = Load { rate: asked.rate, calls: asked.round, hold };
    let told = async {
        let mut of_ours = vec![ours.carry(&ends, all).await?];
        for (proxy, rounds) in &mut theirs {
            rounds.push(proxy.carry(&ends, all).await?);
        }
        // Round by round, so that a slow moment of the machine is everybody's.
        for _ in 0..asked.rounds {
            of_ours.push(ours.carry(&ends, few).await?);
            for (proxy, rounds) in &mut theirs {
                rounds.push(proxy.carry(&ends, few).await?);
            }
        }
        Ok::<_, String>(of_ours)
    };
    let of_ours = told.await.map_err(|error: String| format!("{error}; {}", callee.last_words()))?;
    ours.tell(&asked, &of_ours, results).await?;
    if theirs.is_empty() {
        results.put(Figure::missing("CPU a call, Kamailio", "it cannot be had"))?;
    }
    for (proxy, rounds) in theirs {
        proxy.tell(&asked, &rounds, results).await?;
    }
    Ok(())
}

impl Between {
    /// Has these calls made through it, and waits until they are over and done with.
    async fn carry(&mut self, ends: &Ends<'_>, load: Load) -> Result<Round, String> {
        let before = self.used()?;
        let to = match self {
            Self::Gateway { gateway, .. } => gateway.address,
            Self::Proxy(proxy) => proxy.address,
        };
        let outcome = Caller::start(ends.folder, ends.caller, to, load)?.ends().await?;
        if let Self::Gateway { gateway, ended, slowest } = self {
            let begun = Instant::now();
            // What a failed call has become in the ledger is not known here.
            gateway.settled(*ended + outcome.successful, TO_BE_TOLD).await?;
            *slowest = begun.elapsed().max(*slowest);
            *ended = gateway.ended().await?.total;
        }
        let cpu = self.used()?.since(before);
        Ok(Round { outcome, cpu })
    }

    fn used(&self) -> Result<Used, String> {
        match self {
            Self::Gateway { gateway, .. } => gateway.used(),
            Self::Proxy(proxy) => proxy.used().map(|used| Used { whole: used, sip: used }),
        }
    }

    /// Puts what came of all rounds; the first was there to see whether all goes well.
    async fn tell(self, asked: &Asked, rounds: &[Round], results: &Results) -> Result<(), String> {
        let outcomes: Vec<Outcome> = rounds.iter().map(|round| round.outcome).collect();
        let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
        let (failed, again) = (sum(|one| one.failed), sum(|one| one.sent_again));
        let made = failed + sum(|one| one.successful);
        let took = outcomes.first().map_or(0.0, |first| first.took.as_secs_f64());
        let name = format!("calls at {} a second", asked.rate);
        let note = format!(
            "of {made} calls; the first {} took {took:.1} s; sipp sent {again} messages again",
            asked.calls
        );
        let cpu = |of: fn(&Used) -> Duration| {
            let each = |round: &Round| {
                let calls = round.outcome.successful + round.outcome.failed;
                of(&round.cpu).as_secs_f64() * 1_000.0 / calls as f64
            };
            rounds.iter().skip(1).map(each).collect::<Vec<f64>>()
        };
        let each = format!("rounds of {} calls, {} a second", asked.round, asked.rate);
        match self {
            Self::Gateway { mut gateway, slowest, .. } => {
                let known = gateway.ended().await?;
                gateway.stop().await?;
                results.put(
                    Figure::of(&format!("{name}, failed"), "calls", vec![failed as f64]).with_note(&note),
                )?;
                let missing = made.abs_diff(known.completed) as f64;
                let note = format!(
                    "the ledger knew all {:.0} ms after the last call at the latest",
                    slowest.as_secs_f64() * 1_000.0
                );
                let figure =
                    Figure::of(&format!("{name}, not completed in the ledger"), "calls", vec![missing]);
                results.put(figure.with_note(&note))?;
                let note = format!("threads of SIP and media; {each}");
                results.put(Figure::of("CPU a call", "ms", cpu(|used| used.sip)).with_note(&note))?;
                let figure = Figure::of("CPU a call with the ledger", "ms", cpu(|used| used.whole));
                results.put(figure.with_note(&format!("the whole program; {each}")))
            }
            Self::Proxy(proxy) => {
                let of = proxy.allocator.name();
                let name = format!("{name}, failed, {of}");
                results.put(Figure::of(&name, "calls", vec![failed as f64]).with_note(&note))?;
                let note = format!("{}, all processes; {each}", proxy.version);
                results.put(
                    Figure::of(&format!("CPU a call, {of}"), "ms", cpu(|used| used.whole)).with_note(&note),
                )
            }
        }
    }
}
