//! Schemas of the values that many operations take, as the API document shows them.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type,
        schema::{AnyOfBuilder, OneOfBuilder},
    },
};

use crate::vocabulary::kinds;

/// Makes a type that only stands for a schema.
macro_rules! schema {
    ($(#[$doc:meta])* $visibility:vis $name:ident = $schema:expr) => {
        $(#[$doc])*
        $visibility struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::RefOr::T(utoipa::openapi::Schema::from($schema))
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use schema;

schema! {
    /// A bound of a stretch of time.
    pub DateOrTime = AnyOfBuilder::new()
        .item(text_of(KnownFormat::Date))
        .item(text_of(KnownFormat::DateTime))
        .description(Some("A date, or an RFC 3339 time"))
}

schema! {
    /// When an event happened.
    pub EventTime = OneOfBuilder::new()
        .item(text_of(KnownFormat::DateTime))
        .item(ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))))
        .description(Some("An RFC 3339 time, or epoch milliseconds: not before 1990, at most 24 hours in the future"))
}

schema! {
    /// A time zone. Which names there are depends on the time zone database of the server.
    pub TimeZoneName = text()
        .format(Some(SchemaFormat::Custom("iana-time-zone".to_owned())))
        .description(Some("A name of the IANA time zone database"))
        .examples(["Europe/Berlin"])
}

schema! {
    /// The id of an endpoint or a phone number.
    pub Id = text()
        .pattern(Some("^[A-Za-z0-9_.:@+~=-]{1,128}$"))
        .description(Some("An id: up to 128 letters, digits and _ . : @ + ~ = -"))
}

schema! {
    /// The item of a repeatable parameter of ids.
    pub Ids = text()
        .pattern(Some("^[A-Za-z0-9_.:@+~=-]{1,128}(,[A-Za-z0-9_.:@+~=-]{1,128})*$"))
        .description(Some("An id, or several separated by commas"))
}

schema! {
    /// The type of an event.
    pub EventType = AnyOfBuilder::new()
        .item(one_of(kinds::ALL.iter().copied()))
        .item(text().pattern(Some("^x_[A-Za-z0-9_.-]{1,62}$")))
        .description(Some("A documented type, or one of the sender's own, which begins with x_"))
}

/// The schemas that parameters refer to by name. Those that no operation uses are left out of the document.
pub(super) fn named() -> Vec<(String, RefOr<Schema>)> {
    fn of<T: ToSchema + PartialSchema>() -> (String, RefOr<Schema>) {
        (T::name().into_owned(), T::schema())
    }
    vec![of::<DateOrTime>(), of::<TimeZoneName>(), of::<Id>(), of::<Ids>(), of::<EventType>()]
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn text_of(format: KnownFormat) -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(format)))
}

/// The schema of a text that is one of these words.
pub fn one_of(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}
