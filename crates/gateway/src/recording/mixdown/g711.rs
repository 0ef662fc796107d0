//! G.711, both laws: a byte is a sample, 8,000 a second.

/// What each byte stands for, by one of the laws.
pub(super) type Table = [i16; 256];

/// The u-law.
pub(super) static ULAW: Table = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = ulaw(code as u8);
        code += 1;
    }
    table
};

/// The A-law.
pub(super) static ALAW: Table = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = alaw(code as u8);
        code += 1;
    }
    table
};

/// All bits are inverted; then sign, exponent of three bits, mantissa of four. The bias of 33 steps of 4 is taken off.
const fn ulaw(code: u8) -> i16 {
    let code = !code;
    let exponent = (code >> 4) & 7;
    let mantissa = (code & 15) as i16;
    let size = (((mantissa << 3) + 132) << exponent) - 132;
    if code & 0x80 == 0 { size } else { -size }
}

/// Every other bit is inverted; then sign, exponent of three bits, mantissa of four; each step is met in its middle.
const fn alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = ((code & 15) as i16) << 4;
    let size = match exponent {
        0 => mantissa + 8,
        _ => (mantissa + 264) << (exponent - 1),
    };
    if code & 0x80 == 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ulaw_has_the_values_of_the_recommendation() {
        // G.711, table 2: steps of 14 bits, here of 16.
        for (code, value) in [(0xff, 0), (0x7f, 0), (0x80, 32_124), (0x00, -32_124), (0xfe, 8), (0xef, 132)] {
            assert_eq!(ULAW[code], value, "{code:#x}");
        }
    }

    #[test]
    fn the_alaw_has_the_values_of_the_recommendation() {
        // G.711, table 1: steps of 13 bits, here of 16.
        for (code, value) in [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256), (0xd4, 24), (0xc5, 264)]
        {
            assert_eq!(ALAW[code], value, "{code:#x}");
        }
    }

    #[test]
    fn both_laws_agree_with_another_implementation() {
        use audio_codec::{Decoder, pcma::PcmaDecoder, pcmu::PcmuDecoder};
        let codes: Vec<u8> = (0..=255).collect();
        assert_eq!(PcmuDecoder::new().decode(&codes), ULAW);
        assert_eq!(PcmaDecoder::new().decode(&codes), ALAW);
    }
}
