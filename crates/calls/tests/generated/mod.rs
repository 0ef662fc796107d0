//! Random events over every kind of fact.

use pegcount_calls::{
    Amount, Analysis, AudioConfig, CallLeg, CallType, CallerIdentity, Cause, CostItem, Decimal, Direction,
    Document, End, EndpointName, Event, EventId, Fact, LatencySample, LegId, Media, MetadataPatch, Party,
    PhoneNumberName, Price, Quality, QualityLeg, QualityReport, Recording, Role, Setup, SourceName, Stage,
    Summary, Timestamp, ToolInvocation, ToolOutcome, TurnReport, Word,
};
use proptest::{
    collection::vec,
    option::of,
    prelude::{BoxedStrategy, Just, Strategy, any, prop_oneof},
    sample::select,
};

/// What the values of events are drawn from.
#[derive(Clone)]
pub struct Pools {
    time: BoxedStrategy<Timestamp>,
    count: BoxedStrategy<i64>,
    number: BoxedStrategy<f64>,
    decimal: BoxedStrategy<Decimal>,
    text: BoxedStrategy<String>,
}

/// Few values near each other, so that events agree, contradict and fall into one instant.
pub fn near() -> Pools {
    Pools {
        time: (0..12_i64)
            .prop_map(|second| Timestamp::from_millis(1_736_503_200_000 + second * 1000))
            .boxed(),
        count: select(vec![0, 1, 500, 2_000, 7_000]).boxed(),
        number: select(vec![0.0, 0.25, 0.5, 20.0, 300.0]).boxed(),
        decimal: (-300..300_i64).prop_map(|cents| Decimal::new(cents, 2)).boxed(),
        text: select(vec!["", "1", "2", "+49301"]).prop_map(str::to_owned).boxed(),
    }
}

/// Everything that the types can hold.
pub fn wild() -> Pools {
    let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    let integer = prop_oneof![select(extremes.to_vec()), any::<i64>()].boxed();
    let decimals = vec![Decimal::MIN, Decimal::MAX, Decimal::ZERO, Decimal::new(1, 28), -Decimal::ONE];
    Pools {
        time: integer.clone().prop_map(Timestamp::from_millis).boxed(),
        count: integer.clone(),
        number: prop_oneof![any::<f64>(), select(vec![f64::NAN, f64::INFINITY, f64::MAX, -0.0])].boxed(),
        decimal: prop_oneof![select(decimals), (integer, 0..=28_u32).prop_map(|(n, dp)| Decimal::new(n, dp))]
            .boxed(),
        text: prop_oneof![Just(String::new()), ".{0,12}"].boxed(),
    }
}

/// Up to so many events, each with an id of its own that says nothing of its place.
pub fn events(pools: &Pools, most: usize) -> impl Strategy<Value = Vec<Event>> + use<> {
    let ids = Just((0..most).collect::<Vec<_>>()).prop_shuffle();
    (ids, vec(unnamed(pools), 1..=most)).prop_map(|(ids, events)| {
        let named = events.into_iter().zip(ids);
        named.map(|(event, id)| Event { id: EventId::new(format!("e{id}")).unwrap(), ..event }).collect()
    })
}

/// One event whose id is `new`.
pub fn unnamed(pools: &Pools) -> impl Strategy<Value = Event> + use<> {
    let opts_out = prop_oneof![19 => Just(false), 1 => Just(true)];
    let said = (pools.time.clone(), of(leg()), fact(pools), opts_out);
    said.prop_map(|(at, leg, fact, opts_out)| Event { opts_out, ..new_event(at, leg, fact) })
}

pub fn new_event(at: Timestamp, leg: Option<CallLeg>, fact: Fact) -> Event {
    let source = SourceName::new("test").unwrap();
    Event { id: EventId::new("new").unwrap(), at, source, leg, opts_out: false, fact }
}

pub fn time(pools: &Pools) -> impl Strategy<Value = Timestamp> + use<> {
    pools.time.clone()
}

pub fn leg() -> impl Strategy<Value = CallLeg> {
    let name = || select(vec!["a", "b", "c"]).prop_map(|name| LegId::new(name).unwrap());
    let flags = (any::<bool>(), any::<bool>());
    (name(), flags, of(name())).prop_map(|(id, (origin_unless_dialled, after_the_fact), dialled)| CallLeg {
        id,
        origin_unless_dialled,
        dialled,
        after_the_fact,
    })
}

fn fact(pools: &Pools) -> BoxedStrategy<Fact> {
    prop_oneof![4 => lifecycle(pools), 3 => end(pools).prop_map(|end| Fact::Ended(Box::new(end))), 4 => other(pools)]
        .boxed()
}

fn lifecycle(pools: &Pools) -> BoxedStrategy<Fact> {
    let media = (of(pools.text.clone()), of(pools.number.clone()));
    prop_oneof![
        setup(pools).prop_map(|setup| Fact::Queued(Box::new(setup))),
        setup(pools).prop_map(|setup| Fact::Initiated(Box::new(setup))),
        media.prop_map(|(codec, latency_millis)| Fact::MediaEstablished(Media { codec, latency_millis })),
        select(vec![
            Fact::InviteSent,
            Fact::Ringing,
            Fact::Answered,
            Fact::Held,
            Fact::Resumed,
            Fact::Transferred,
            Fact::DtmfReceived,
            Fact::Seen,
        ]),
    ]
    .boxed()
}

fn patch(pools: &Pools) -> impl Strategy<Value = MetadataPatch> + use<> {
    vec((select(vec!["k", "l", "m"]), of(document(pools))), 0..3)
        .prop_map(|keys| keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn document(pools: &Pools) -> impl Strategy<Value = Document> + use<> {
    pools.text.clone().prop_map(Document::from_json_text)
}

fn setup(pools: &Pools) -> impl Strategy<Value = Setup> + use<> {
    let text = || of(pools.text.clone());
    let names = of(select(vec!["x", "y"]));
    let direction = of(select(vec![Direction::Inbound, Direction::Outbound]));
    let call_type = of(select(vec![CallType::Phone, CallType::Web]));
    let parties = (direction, call_type, names.clone(), names);
    let rest = (patch(pools), of(document(pools)), of(pools.count.clone()));
    (parties, [text(), text(), text(), text(), text(), text(), text()], rest).prop_map(
        |(parties, texts, rest)| {
            let [from_number, to_number, call_sid, conference_sid, sip_call_id, name, asserted_number] =
                texts;
            let caller = CallerIdentity { name, asserted_number, ..CallerIdentity::default() };
            Setup {
                direction: parties.0,
                call_type: parties.1,
                endpoint: parties.2.map(|name| EndpointName::new(name).unwrap()),
                phone_number: parties.3.map(|name| PhoneNumberName::new(name).unwrap()),
                from_number,
                to_number,
                call_sid,
                conference_sid,
                sip_call_id,
                metadata: rest.0,
                context: rest.1,
                task: rest.2,
                caller: (!caller.is_empty()).then(|| Box::new(caller)),
            }
        },
    )
}

/// A terminal event; one in three is inferred.
pub fn end(pools: &Pools) -> impl Strategy<Value = End> + use<> {
    let causes = vec![
        Cause::NormalClearing,
        Cause::UserHangup,
        Cause::AgentHangup,
        Cause::NoAnswer,
        Cause::Busy,
        Cause::Rejected,
        Cause::NetworkError,
        Cause::Timeout,
    ];
    let parties = vec![Party::Caller, Party::Callee, Party::Api, Party::System];
    let flags = (any::<bool>(), select(vec![true, false, false]), any::<bool>());
    let time = || of(pools.time.clone());
    let why = (of(select(causes)), of(select(parties)), of(pools.count.clone()), of(pools.count.clone()));
    (flags, why, [time(), time(), time(), time()], setup(pools)).prop_map(|(flags, why, times, setup)| {
        let (failed, inferred, transfer) = flags;
        let (cause, by, talk_millis, clock_millis) = why;
        let [started_at, ringing_at, answered_at, answered_about] = times;
        let recorded = transfer;
        End {
            failed,
            inferred,
            cause,
            by,
            transfer,
            talk_millis,
            clock_millis,
            recorded,
            started_at,
            ringing_at,
            answered_at,
            answered_about,
            answered_elsewhere: transfer,
            setup,
        }
    })
}

fn other(pools: &Pools) -> BoxedStrategy<Fact> {
    let text = || of(pools.text.clone());
    let tool = (text(), text(), of(document(pools)), any::<bool>());
    prop_oneof![
        turn(pools).prop_map(|turn| Fact::Turn(Box::new(turn))),
        turn(pools).prop_map(|turn| Fact::Spoke(turn.speech())),
        tool.prop_map(|(tool_call, name, document, is_error)| match name {
            Some(name) => Fact::ToolInvoked(Box::new(ToolInvocation {
                tool_call,
                name: Some(name),
                arguments: document,
            })),
            None => Fact::ToolReturned(Box::new(ToolOutcome { tool_call, result: document, is_error })),
        }),
        measure(pools),
        cost(pools).prop_map(|cost| Fact::Cost(Box::new(cost))),
        (text(), text(), of(pools.number.clone())).prop_map(|(url, object, duration_seconds)| {
            Fact::RecordingReady(Box::new(Recording {
                announced_by: None,
                url,
                object,
                duration_seconds,
                format: None,
                size_bytes: None,
            }))
        }),
        pools.text.clone().prop_map(Fact::TranscriptReady),
        (of(any::<bool>()), text(), text(), of(any::<bool>()), of(document(pools))).prop_map(|found| {
            Fact::AnalysisReady(Box::new(Analysis {
                successful: found.0,
                summary: found.1,
                sentiment: found.2,
                in_voicemail: found.3,
                custom: found.4,
            }))
        }),
        patch(pools).prop_map(Fact::MetadataSet),
        select(vec![
            Fact::RecordingFailed { is_empty: true },
            Fact::RecordingFailed { is_empty: false },
            Fact::RecordingDeleted,
            Fact::TranscriptDeleted,
            Fact::Other,
        ]),
    ]
    .boxed()
}

fn turn(pools: &Pools) -> impl Strategy<Value = TurnReport> + use<> {
    let span = (of(pools.count.clone()), of(pools.count.clone()));
    let flags = (any::<bool>(), any::<bool>());
    (flags, pools.text.clone(), span).prop_map(|((agent, inferred), content, (start_millis, end_millis))| {
        let word = Word { word: content.clone(), start_millis: 0, end_millis: start_millis.unwrap_or(0) };
        TurnReport {
            role: if agent { Role::Agent } else { Role::User },
            content,
            start_millis,
            end_millis,
            words: vec![word],
            language: None,
            inferred,
        }
    })
}

fn measure(pools: &Pools) -> BoxedStrategy<Fact> {
    let number = || of(pools.number.clone());
    let side = select(vec![QualityLeg::Agent, QualityLeg::Caller]);
    let numbers = [number(), number(), number(), number()];
    let audio = (of(pools.text.clone()), of(any::<u32>()));
    prop_oneof![
        (select(Stage::ALL.to_vec()), pools.number.clone())
            .prop_map(|(stage, millis)| Fact::StageLatency(LatencySample { stage, millis })),
        (select(Stage::ALL.to_vec()), number()).prop_map(|(stage, p50)| {
            Fact::LatencySummary(Box::new((stage, Summary { p50, ..Summary::default() })))
        }),
        (side, numbers, audio).prop_map(|(leg, numbers, (codec, sample_rate_hz))| {
            let [latency_millis, jitter_millis, packet_loss, mos] = numbers;
            let quality = Quality { latency_millis, jitter_millis, packet_loss, mos, codec: codec.clone() };
            Fact::MediaQuality(Box::new(QualityReport {
                leg,
                quality,
                audio: AudioConfig { codec, sample_rate_hz },
            }))
        }),
    ]
    .boxed()
}

fn cost(pools: &Pools) -> impl Strategy<Value = CostItem> + use<> {
    let amount = pools.count.clone().prop_map(Amount::from_nanos);
    let (one, other) = (pools.decimal.clone(), pools.decimal.clone());
    let price = prop_oneof![
        (amount, of(one.clone()), of(other.clone()))
            .prop_map(|(amount, unit_price, quantity)| Price::Stated { amount, unit_price, quantity }),
        (one, other.clone()).prop_map(|(unit_price, quantity)| Price::Each { unit_price, quantity }),
        other.prop_map(|quantity| Price::Counted { quantity }),
    ];
    (any::<bool>(), price).prop_map(|(per_minute, price)| CostItem { product: "p".into(), per_minute, price })
}
