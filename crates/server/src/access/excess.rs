//! What to tell somebody whose query was cut because it took too long.

use pegcount_calls::{CallQuery, Range, SortKey};
use pegcount_store::StatsQuery;

/// Why a query took too long, and what would have it look at less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excess {
    /// What took the time, in the rest of a sentence that begins with "it".
    cause: Option<&'static str>,
    /// What helps, the best first.
    remedies: Vec<Remedy>,
}

/// What has a query look at less. Each dialect has its own words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A range of creation times, or a shorter one.
    Created,
    /// A party to the calls: an endpoint or a number.
    Party,
    /// One more word to search for.
    Word,
    /// The list in the order of creation.
    ByCreation,
    /// To do without the calls at once.
    NoConcurrency,
    /// To go on from the last call that was seen instead of counting up to it.
    Cursor,
}

impl Remedy {
    /// In words that every dialect understands.
    fn neutral(self) -> Option<&'static str> {
        match self {
            Self::Created => Some("a (shorter) range of creation times"),
            Self::Party => Some("an endpoint or a phone number"),
            Self::Word => Some("one more word to search for"),
            Self::ByCreation => Some("creation as the order"),
            Self::NoConcurrency | Self::Cursor => None,
        }
    }
}

impl Excess {
    /// Of a list of calls.
    pub fn of_calls(query: &CallQuery) -> Self {
        let passes_over_many = query.paging.offset > 100_000;
        let by_creation = query.sort.key == SortKey::CreatedAt;
        let names_a_party = !(query.endpoints.is_empty()
            && query.phone_numbers.is_empty()
            && query.from_numbers.is_empty()
            && query.to_numbers.is_empty());
        let cause = if query.transcript.is_some() {
            "searches words that very many calls have"
        } else if !query.metadata.is_empty() {
            "reads every call that has such metadata"
        } else if passes_over_many {
            "passes over very many calls to reach its part of the list"
        } else if by_creation {
            "reads very many calls to find those that pass all filters"
        } else {
            "reads very many calls in an order other than that of creation"
        };
        let remedies = [
            (Remedy::Word, query.transcript.is_some()),
            (Remedy::Created, true),
            (Remedy::Party, !names_a_party),
            (Remedy::Cursor, passes_over_many && query.sort.key != SortKey::Relevance),
            (Remedy::ByCreation, !by_creation),
        ];
        Self { cause: Some(cause), remedies: wanted(remedies) }
    }

    /// Of statistics.
    pub fn of_stats(query: &StatsQuery) -> Self {
        let cause = match query.created {
            Range { from: None, to: None } => "adds up every call there is",
            _ => "adds up very many calls",
        };
        let names_a_party = query.endpoint.is_some() || query.phone_number.is_some();
        let remedies = [(Remedy::Created, true), (Remedy::Party, !names_a_party)];
        Self { cause: Some(cause), remedies: wanted(remedies) }
    }

    /// Of calls at once, which are found by walking through the calls.
    pub fn of_concurrency(query: &StatsQuery) -> Self {
        let Self { mut remedies, .. } = Self::of_stats(query);
        remedies.insert(0, Remedy::NoConcurrency);
        Self { cause: Some("walks through very many calls to see how many there were at once"), remedies }
    }

    /// The sentence, with each remedy as `name` has it; one without a name is left out.
    pub fn sentence(&self, name: impl Fn(Remedy) -> Option<&'static str>) -> String {
        let mut sentence = "the query took too long and was cut".to_owned();
        if let Some(cause) = self.cause {
            sentence.push_str(": it ");
            sentence.push_str(cause);
        }
        let names: Vec<&str> = self.remedies.iter().copied().filter_map(name).collect();
        match names.as_slice() {
            [] => sentence.push_str("; ask for less at once"),
            [name] => sentence.push_str(&format!("; give {name}")),
            [names @ .., last] => {
                sentence.push_str(&format!("; give {}, or {last}", names.join(", ")));
            }
        }
        sentence
    }
}

fn wanted(remedies: impl IntoIterator<Item = (Remedy, bool)>) -> Vec<Remedy> {
    remedies.into_iter().filter(|(_, helps)| *helps).map(|(remedy, _)| remedy).collect()
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence(Remedy::neutral))
    }
}

#[cfg(test)]
mod tests {
    use pegcount_calls::{Paging, Sort};

    use super::*;

    #[test]
    fn the_sentence_names_what_the_query_itself_lacks() {
        let said = CallQuery { transcript: Some("hello".to_owned()), ..CallQuery::default() };
        let by_number = CallQuery {
            from_numbers: vec!["+1".to_owned()],
            sort: Sort { key: SortKey::EndedAt, ascending: true },
            paging: Paging { offset: 5_000_000, ..Paging::default() },
            ..CallQuery::default()
        };
        let cut = "the query took too long and was cut";
        for (excess, sentence) in [
            (
                Excess::of_calls(&said),
                ": it searches words that very many calls have; give one more word to search for, a (shorter) range \
                 of creation times, or an endpoint or a phone number",
            ),
            (
                Excess::of_calls(&by_number),
                ": it passes over very many calls to reach its part of the list; give a (shorter) range of creation \
                 times, or creation as the order",
            ),
            (
                Excess::of_stats(&StatsQuery::default()),
                ": it adds up every call there is; give a (shorter) range of creation times, or an endpoint or a \
                 phone number",
            ),
            (
                Excess::of_concurrency(&StatsQuery::default()),
                ": it walks through very many calls to see how many there were at once; give a (shorter) range of \
                 creation times, or an endpoint or a phone number",
            ),
            (Excess::default(), "; ask for less at once"),
        ] {
            assert_eq!(excess.to_string(), format!("{cut}{sentence}"));
        }
        let named =
            Excess::of_calls(&by_number).sentence(|remedy| (remedy == Remedy::Cursor).then_some("cursor"));
        assert!(named.ends_with("; give cursor"), "{named}");
    }
}
