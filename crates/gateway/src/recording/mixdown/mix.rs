//! Two sides into the samples of one file.

/// Up to here a sample is kept as it is; what is louder is bent, so that two loud voices never clip.
const KNEE: f32 = 0.8;

fn whole(sample: f32) -> i16 {
    let size = sample.abs();
    let size = if size <= KNEE { size } else { KNEE + (1.0 - KNEE) * ((size - KNEE) / (1.0 - KNEE)).tanh() };
    (size.copysign(sample) * f32::from(i16::MAX)).round() as i16
}

/// One channel as 16-bit samples.
pub(crate) fn one(samples: &[f32], out: &mut Vec<i16>) {
    out.clear();
    out.extend(samples.iter().map(|sample| whole(*sample)));
}

/// The sum of both sides, as 16-bit samples.
pub(crate) fn sum(caller: &[f32], callee: &[f32], out: &mut Vec<i16>) {
    out.clear();
    out.extend(caller.iter().zip(callee).map(|(caller, callee)| whole(caller + callee)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quiet_samples_are_kept_and_two_loud_ones_do_not_clip() {
        let mut out = Vec::new();
        sum(&[0.25, 1.0, -1.0, 0.0], &[0.25, 1.0, -1.0, 0.0], &mut out);
        assert_eq!(out[0], 16_384);
        assert!((32_000..=32_767).contains(&out[1]), "{out:?}");
        assert_eq!((out[2], out[3]), (-out[1], 0));
    }

    proptest! {
        #[test]
        fn a_louder_sample_never_becomes_a_quieter_one(a in -2.0_f32..2.0, b in -2.0_f32..2.0) {
            prop_assert!((a <= b) == (whole(a) <= whole(b)) || whole(a) == whole(b));
        }
    }
}
