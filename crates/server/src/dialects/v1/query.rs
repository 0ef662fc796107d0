//! The parameters of v1.

use data_encoding::BASE64URL_NOPAD;
use pegcount_calls::{
    CallQuery, Cursor, Direction, EndpointName, MetadataFilter, Paging, PhoneNumberName, Sort, SortKey,
    Status, Timestamp,
};
use pegcount_store::StatsQuery;

use super::wire::StatusWord;
use crate::{
    access::Refusal,
    web::query::{MOST_VALUES, Params},
};

/// Calls in a list unless asked otherwise, and at most (contract, v1).
const DEFAULT_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 100;
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

fn sort(params: &Params) -> Result<Sort, Refusal> {
    let (key, ascending) = match params.get("sort") {
        None | Some("-created_at") => (SortKey::CreatedAt, false),
        Some("created_at") => (SortKey::CreatedAt, true),
        Some("-completed_at") => (SortKey::EndedAt, false),
        Some("completed_at") => (SortKey::EndedAt, true),
        Some(_) => {
            let message = "must be created_at, -created_at, completed_at or -completed_at";
            return Err(Refusal::invalid("sort", message));
        }
    };
    Ok(Sort { key, ascending })
}

fn paging(params: &Params) -> Result<Paging, Refusal> {
    let (limit, offset) = plain_paging(params)?;
    let after = params.get("cursor").map(|text| {
        read_cursor(text).ok_or_else(|| Refusal::invalid("cursor", "must be the next_cursor of an answer"))
    });
    let after = after.transpose()?;
    if after.is_some() && (params.get("offset").is_some() || params.get("page").is_some()) {
        return Err(Refusal::invalid("cursor", "cannot be combined with offset or page"));
    }
    if after.is_some() && sort(params)?.key != SortKey::CreatedAt {
        return Err(Refusal::invalid("cursor", "needs a list sorted by created_at"));
    }
    Ok(Paging { limit, offset, after })
}

/// The limit and offset of every list; a page is an offset in other words.
pub(super) fn plain_paging(params: &Params) -> Result<(u32, u64), Refusal> {
    let limit = params.count("limit", 1, LARGEST_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let offset = params.integer("offset", 0, i64::MAX)?.and_then(|offset| u64::try_from(offset).ok());
    let page = params.count("page", 1, u32::MAX)?;
    let of_page = page.map(|page| u64::from(page - 1) * u64::from(limit));
    Ok((limit, offset.or(of_page).unwrap_or(0)))
}

/// A cursor in words that mean nothing to a client.
pub(super) fn write_cursor(cursor: Cursor) -> String {
    BASE64URL_NOPAD.encode(format!("{},{}", cursor.created_at.millis(), cursor.arrival).as_bytes())
}

fn read_cursor(text: &str) -> Option<Cursor> {
    let decoded = String::from_utf8(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()?;
    let (created_at, arrival) = decoded.split_once(',')?;
    Some(Cursor {
        created_at: Timestamp::from_millis(created_at.parse().ok()?),
        arrival: arrival.parse().ok()?,
    })
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
    fn a_cursor_comes_back_as_it_went() {
        let cursor = Cursor { created_at: Timestamp::from_millis(-5), arrival: 77 };
        assert_eq!(read_cursor(&write_cursor(cursor)), Some(cursor));
    }

    #[test]
    fn a_page_is_an_offset_in_other_words() {
        let paging = call_query(&Params::parse("page=3&limit=20")).unwrap().paging;
        assert_eq!((paging.limit, paging.offset), (20, 40));
    }
}
