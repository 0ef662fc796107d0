//! The document as a whole: servers, what is there however, and each schema once.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

const SCHEMAS: &str = "#/components/schemas/";

/// The document that is served. `public_url` is the configured one, or empty.
pub fn finish(api: &OpenApi, public_url: &str) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    document["servers"] = servers(public_url);
    for_each_object(&mut document["paths"], &mut strip_null_of_parameters);
    let mut schemas = match document["components"]["schemas"].take() {
        Value::Object(schemas) => schemas,
        _ => Map::new(),
    };
    name_inline_schemas(&mut document["paths"], &mut schemas);
    let answered = reached(&responses(&document["paths"]), &schemas);
    for (name, schema) in &mut schemas {
        if answered.contains(name) {
            for_each_object(schema, &mut require_nullable_properties);
        }
    }
    let used = reached(&[&document["paths"]], &schemas);
    schemas.retain(|name, _| used.contains(name));
    document["components"]["schemas"] = Value::Object(schemas);
    document
}

/// The server that shows the document comes first, so that `/docs/` asks the server that it came from.
fn servers(public_url: &str) -> Value {
    let this = json!({"url": "/", "description": "The server that shows this document"});
    match public_url {
        "" => json!([this]),
        url => json!([this, {"url": url, "description": "Where clients reach it"}]),
    }
}

fn for_each_object(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            change(fields);
            fields.values_mut().for_each(|value| for_each_object(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| for_each_object(value, change)),
        _ => {}
    }
}

/// A parameter that is not sent is absent: no query says null. One that is sent empty, as forms send it, is absent, too.
fn strip_null_of_parameters(object: &mut Map<String, Value>) {
    if !object.get("in").is_some_and(Value::is_string) {
        return;
    }
    if object["in"] == "query" && object.get("required") != Some(&Value::Bool(true)) {
        object.insert("allowEmptyValue".to_owned(), true.into());
    }
    let Some(Value::Object(schema)) = object.get_mut("schema") else { return };
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    let alternatives = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let real: Vec<Value> = alternatives.filter(|schema| schema["type"] != "null").cloned().collect();
    if let [only] = real.as_slice() {
        object.insert("schema".to_owned(), only.clone());
    }
}

/// An answer holds every property that may be null. One that may be absent is never null, and says so by its type.
fn require_nullable_properties(schema: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = schema.get("properties") else { return };
    let required: Vec<Value> = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_required = |name: &String, property: &Value| {
        required.iter().any(|known| known.as_str() == Some(name)) || is_nullable(property)
    };
    let all = properties.iter().filter(|(name, property)| is_required(name, property));
    let all: Vec<Value> = all.map(|(name, _)| name.clone().into()).collect();
    if !all.is_empty() {
        schema.insert("required".to_owned(), all.into());
    }
}

fn is_nullable(schema: &Value) -> bool {
    let is_null = |schema: &Value| schema["type"] == "null";
    schema["type"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "null"))
        || schema["oneOf"].as_array().is_some_and(|schemas| schemas.iter().any(is_null))
}

/// Puts a reference where a schema of a name is repeated word for word.
fn name_inline_schemas(paths: &mut Value, schemas: &mut Map<String, Value>) {
    let named: HashMap<String, String> = schemas
        .iter()
        .filter(|(_, schema)| schema.get("properties").is_some() || schema.get("allOf").is_some())
        .map(|(name, schema)| (schema.to_string(), name.clone()))
        .collect();
    let mut name = |object: &mut Map<String, Value>| {
        for value in object.values_mut() {
            if let Some(name) = value.is_object().then(|| named.get(&value.to_string())).flatten() {
                *value = json!({ "$ref": format!("{SCHEMAS}{name}") });
            }
        }
    };
    for_each_object(paths, &mut name);
    for schema in schemas.values_mut() {
        for_each_object(schema, &mut name);
    }
}

/// Every answer of every operation.
fn responses(paths: &Value) -> Vec<&Value> {
    let items = paths.as_object().into_iter().flat_map(Map::values);
    let operations = items.filter_map(Value::as_object).flat_map(Map::values);
    operations.filter_map(|operation| operation.get("responses")).collect()
}

/// The names of the schemas that these values lead to.
fn reached(from: &[&Value], schemas: &Map<String, Value>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&Value> = from.to_vec();
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                let reference = fields.get("$ref").and_then(Value::as_str);
                let name = reference.and_then(|target| target.strip_prefix(SCHEMAS));
                if let Some(name) = name
                    && found.insert(name.to_owned())
                {
                    left.extend(schemas.get(name));
                }
                left.extend(fields.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_absent_and_never_null() {
        for (schema, stripped) in [
            (
                json!({"type": ["integer", "null"], "format": "int64"}),
                json!({"type": "integer", "format": "int64"}),
            ),
            (json!({"oneOf": [{"type": "null"}, {"$ref": "#/x"}]}), json!({"$ref": "#/x"})),
            (json!({"type": "string"}), json!({"type": "string"})),
        ] {
            let mut parameter = json!({"name": "x", "in": "query", "schema": schema});
            for_each_object(&mut parameter, &mut strip_null_of_parameters);
            assert_eq!(parameter["schema"], stripped);
            assert_eq!(parameter["allowEmptyValue"], true);
        }
    }

    #[test]
    fn an_answer_has_every_property_that_may_be_null() {
        let mut schema = json!({
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string"}, "name": {"type": ["string", "null"]}, "total": {"type": "integer"},
                "end": {"oneOf": [{"type": "null"}, {"$ref": "#/x"}]},
            },
        });
        for_each_object(&mut schema, &mut require_nullable_properties);
        assert_eq!(schema["required"], json!(["id", "name", "end"]));
    }

    #[test]
    fn a_schema_is_written_once_and_kept_while_it_is_used() {
        let call = json!({"type": "object", "properties": {"id": {"type": "string"}}});
        let mut schemas = Map::new();
        schemas.insert("Call".to_owned(), call.clone());
        schemas.insert("Envelope".to_owned(), json!({"type": "object", "properties": {"data": call}}));
        schemas.insert("Unused".to_owned(), json!({"type": "object"}));
        let mut paths = json!({"/x": {"get": {"schema": {"$ref": "#/components/schemas/Envelope"}}}});
        name_inline_schemas(&mut paths, &mut schemas);
        assert_eq!(schemas["Envelope"]["properties"]["data"], json!({"$ref": "#/components/schemas/Call"}));
        let used = reached(&[&paths], &schemas);
        assert_eq!(used.into_iter().collect::<Vec<_>>(), ["Call", "Envelope"]);
    }
}
