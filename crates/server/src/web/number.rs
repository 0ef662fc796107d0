//! Numbers as JSON shows them.

use serde::{Serialize, Serializer};

/// A measure that shows as an integer when it is whole: `120`, not `120.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure(pub f64);

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // 2^53: beyond it a float has no exact integers.
        if self.0.fract() == 0.0 && self.0.abs() < 9_007_199_254_740_992.0 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}
