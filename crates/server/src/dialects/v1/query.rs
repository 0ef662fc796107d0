//! The parameters of v1.

use data_encoding::BASE64URL_NOPAD;
use pegcount_calls::{
    CallQuery, Cursor, Direction, EndpointName, MetadataFilter, Paging, PhoneNumberName, Sort, SortKey,
    Status,
};
use pegcount_store::StatsQuery;

use super::wire::StatusWord;
use crate::{
    access::Refusal,
    web::{
        query::{MOST_VALUES, Params},
        schemas::{one_of, schema},
    },
};

/// Calls in a list unless asked otherwise, and at most (contract, v1).
const DEFAULT_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 100;
/// The last page that can be asked for: the largest signed integer of 32 bits.
const LARGEST_PAGE: u32 = i32::MAX.unsigned_abs();
/// Most metadata keys one request may ask about: each is a search of its own.
const MOST_METADATA_KEYS: usize = 20;

/// The query of `GET /v1/calls`.
pub(super) fn call_query(params: &Params) -> Result<CallQuery, Refusal> {
    Ok(CallQuery {
        statuses: statuses(params)?,
        directions: params.each("direction", direction)?,
        endpoints: endpoints(params)?,
        phone_numbers: phone_numbers(params)?,
        metadata: metadata(params)?,
        created: params.created()?,
        transcript: params.get("q").map(str::to_owned),
        sort: sort(params)?,
        paging: paging(params)?,
        ..CallQuery::default()
    })
}

/// The query of the statistics.
pub(super) fn stats_query(params: &Params) -> Result<StatsQuery, Refusal> {
    Ok(StatsQuery {
        endpoint: at_most_one("endpoint_id", endpoints(params)?)?,
        phone_number: at_most_one("phone_number_id", phone_numbers(params)?)?,
        created: params.created()?,
        ..StatsQuery::default()
    })
}

/// The query of the extended statistics.
pub(super) fn statistics_query(params: &Params) -> Result<StatsQuery, Refusal> {
    Ok(StatsQuery {
        statuses: statuses(params)?,
        directions: params.each("direction", direction)?,
        ..stats_query(params)?
    })
}

/// Statistics are kept by one endpoint and one phone number, not by sets of them.
fn at_most_one<T: PartialEq>(name: &str, mut values: Vec<T>) -> Result<Option<T>, Refusal> {
    values.dedup();
    match values.len() {
        0 | 1 => Ok(values.pop()),
        _ => Err(Refusal::invalid(name, "takes one value here")),
    }
}

fn statuses(params: &Params) -> Result<Vec<Status>, Refusal> {
    let meant = params.each("status", |word| {
        let known = StatusWord::FILTERS.iter().find(|(name, _)| *name == word);
        known.map(|(_, statuses)| *statuses).ok_or_else(|| {
            let names: Vec<&str> = StatusWord::FILTERS.iter().map(|(name, _)| *name).collect();
            format!("must be one of {}", names.join(", "))
        })
    })?;
    Ok(meant.into_iter().flatten().copied().collect())
}

fn direction(word: &str) -> Result<Direction, String> {
    match word {
        "inbound" => Ok(Direction::Inbound),
        "outbound" => Ok(Direction::Outbound),
        _ => Err("must be inbound or outbound".into()),
    }
}

fn endpoints(params: &Params) -> Result<Vec<EndpointName>, Refusal> {
    params.each("endpoint_id", |id| EndpointName::new(id).map_err(|error| error.to_string()))
}

fn phone_numbers(params: &Params) -> Result<Vec<PhoneNumberName>, Refusal> {
    params.each("phone_number_id", |id| PhoneNumberName::new(id).map_err(|error| error.to_string()))
}

fn metadata(params: &Params) -> Result<Vec<MetadataFilter>, Refusal> {
    let mut filters: Vec<MetadataFilter> = Vec::new();
    for (name, value) in params.iter() {
        let Some(key) = name.strip_prefix("metadata.") else { continue };
        let place = filters.iter().position(|filter| filter.key == key).unwrap_or_else(|| {
            filters.push(MetadataFilter { key: key.to_owned(), values: Vec::new() });
            filters.len() - 1
        });
        filters[place].values.push(value.to_owned());
        if filters[place].values.len() > MOST_VALUES {
            return Err(Refusal::invalid(name, format!("takes at most {MOST_VALUES} values")));
        }
        if filters.len() > MOST_METADATA_KEYS {
            return Err(Refusal::invalid("metadata", format!("takes at most {MOST_METADATA_KEYS} keys")));
        }
    }
    Ok(filters)
}

/// The orders of a list, each by its name.
const SORTS: [(&str, Sort); 5] = [
    ("created_at", Sort { key: SortKey::CreatedAt, ascending: true }),
    ("-created_at", Sort { key: SortKey::CreatedAt, ascending: false }),
    ("completed_at", Sort { key: SortKey::EndedAt, ascending: true }),
    ("-completed_at", Sort { key: SortKey::EndedAt, ascending: false }),
    ("relevance", Sort { key: SortKey::Relevance, ascending: false }),
];

fn sort(params: &Params) -> Result<Sort, Refusal> {
    // With q as well: the contract's list is newest first, and its answer has a cursor.
    let Some(name) = params.get("sort") else { return Ok(Sort::default()) };
    let Some((_, sort)) = SORTS.iter().find(|(known, _)| *known == name) else {
        let message = "must be created_at, -created_at, completed_at, -completed_at or, with q, relevance";
        return Err(Refusal::invalid("sort", message));
    };
    if sort.key == SortKey::Relevance && params.get("q").is_none() {
        return Err(Refusal::invalid("sort", "can be relevance only where q says what is searched for"));
    }
    Ok(*sort)
}

schema! {
    /// The name of an order.
    pub(super) SortName = one_of(SORTS.map(|(name, _)| name))
}

fn name_of(sort: Sort) -> &'static str {
    SORTS.iter().find(|(_, known)| *known == sort).map_or("", |(name, _)| name)
}

fn paging(params: &Params) -> Result<Paging, Refusal> {
    let (limit, offset) = plain_paging(params)?;
    let Some(text) = params.get("cursor") else { return Ok(Paging { limit, offset, after: None }) };
    let sort = sort(params)?;
    let after = read_cursor(sort, text).map_err(|message| Refusal::invalid("cursor", message))?;
    if params.get("offset").is_some() || params.get("page").is_some() {
        return Err(Refusal::invalid("cursor", "cannot be combined with offset or page"));
    }
    Ok(Paging { limit, offset, after: Some(after) })
}

/// How many rows of a list are asked for.
pub(super) fn limit(params: &Params) -> Result<u32, Refusal> {
    Ok(params.count("limit", 1, LARGEST_LIMIT)?.unwrap_or(DEFAULT_LIMIT))
}

/// The limit and offset of every list; a page is an offset in other words.
pub(super) fn plain_paging(params: &Params) -> Result<(u32, u64), Refusal> {
    let limit = limit(params)?;
    let offset = params.integer("offset", 0, i64::MAX)?.and_then(|offset| u64::try_from(offset).ok());
    let page = params.count("page", 1, LARGEST_PAGE)?;
    let of_page = page.map(|page| u64::from(page - 1) * u64::from(limit));
    Ok((limit, offset.or(of_page).unwrap_or(0)))
}

/// A cursor of a list in this order, in words that mean nothing to a client.
pub(super) fn write_cursor(sort: Sort, cursor: Cursor) -> String {
    let value = cursor.value.map(|value| value.to_string()).unwrap_or_default();
    BASE64URL_NOPAD.encode(format!("{},{value},{}", name_of(sort), cursor.arrival).as_bytes())
}

/// A cursor that is to go on in this order; else what is wrong with it.
fn read_cursor(sort: Sort, text: &str) -> Result<Cursor, String> {
    if sort.key == SortKey::Relevance {
        return Err(
            "cannot be combined with sort=relevance, whose order changes with every call: use offset".into(),
        );
    }
    let unknown = || "must be the next_cursor of an answer".to_owned();
    let decoded = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| unknown())?;
    let decoded = String::from_utf8(decoded).map_err(|_| unknown())?;
    let mut parts = decoded.split(',');
    let (Some(name), Some(value), Some(arrival), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(unknown());
    };
    let (_, written) = SORTS.iter().find(|(known, _)| *known == name).ok_or_else(unknown)?;
    if *written != sort {
        return Err(format!("is of a list with sort={name}: ask for the same here"));
    }
    let value = match value {
        "" => None,
        value => Some(value.parse().map_err(|_| unknown())?),
    };
    Ok(Cursor { value, arrival: arrival.parse().map_err(|_| unknown())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_includes_canceled_and_values_may_be_repeated_or_listed() {
        let query = call_query(&Params::parse("status=busy,no_answer&status=failed")).unwrap();
        assert_eq!(query.statuses, [Status::Busy, Status::NoAnswer, Status::Canceled, Status::Failed]);
    }

    #[test]
    fn a_bad_value_is_refused_by_name_and_never_clamped() {
        for (text, name) in [
            ("status=done", "status"),
            ("direction=in", "direction"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=ten", "limit"),
            ("offset=-1", "offset"),
            ("cursor=x", "cursor"),
            ("sort=price", "sort"),
            ("page=0", "page"),
            ("page=2147483648", "page"),
            ("endpoint_id=a%20b", "endpoint_id"),
            ("from_date=never", "from_date"),
        ] {
            match call_query(&Params::parse(text)) {
                Err(Refusal::Invalid { parameter, .. }) => assert_eq!(parameter, name),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_went_to_the_same_order_alone() {
        for (name, sort) in SORTS.into_iter().filter(|(_, sort)| sort.key != SortKey::Relevance) {
            for value in [Some(-5), None] {
                let cursor = Cursor { value, arrival: 77 };
                let text = write_cursor(sort, cursor);
                let query = call_query(&Params::parse(&format!("sort={name}&cursor={text}"))).unwrap();
                assert_eq!(query.paging.after, Some(cursor));
                for (other, _) in SORTS.into_iter().filter(|(other, _)| *other != name) {
                    let refused = call_query(&Params::parse(&format!("q=x&sort={other}&cursor={text}")));
                    let Err(Refusal::Invalid { parameter, message }) = refused else { panic!("{other}") };
                    assert_eq!(parameter, "cursor");
                    let named = if other == "relevance" { "use offset" } else { &format!("sort={name}:") };
                    assert!(message.contains(named), "{message}");
                }
            }
        }
    }

    #[test]
    fn a_search_is_newest_first_unless_asked_for_relevance() {
        let sort = |text| call_query(&Params::parse(text)).map(|query| query.sort.key);
        assert_eq!(sort("q=x"), Ok(SortKey::CreatedAt));
        assert_eq!(sort("q=x&sort=relevance"), Ok(SortKey::Relevance));
        let refused = sort("sort=relevance").unwrap_err().to_string();
        assert_eq!(refused, "sort can be relevance only where q says what is searched for");
    }

    #[test]
    fn a_page_is_an_offset_in_other_words() {
        let paging = call_query(&Params::parse("page=3&limit=20")).unwrap().paging;
        assert_eq!((paging.limit, paging.offset), (20, 40));
    }
}
