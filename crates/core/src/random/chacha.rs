//! The ChaCha20 block function of RFC 8439, sections 2.1 to 2.3.

/// Words of a key.
pub const KEY_WORDS: usize = 8;
/// Words of a nonce.
pub const NONCE_WORDS: usize = 3;
/// Words of a block.
pub const BLOCK_WORDS: usize = 16;

/// "expand 32-byte k", in little-endian words.
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
/// Each is a round over columns and one over diagonals.
const DOUBLE_ROUNDS: usize = 10;

pub type Key = [u32; KEY_WORDS];
pub type Nonce = [u32; NONCE_WORDS];
pub type Block = [u32; BLOCK_WORDS];

/// Block number `counter` of the stream that `key` and `nonce` determine.
pub fn block(key: &Key, counter: u32, nonce: &Nonce) -> Block {
    let start = initial(key, counter, nonce);
    let mut state = start;
    (0..DOUBLE_ROUNDS).for_each(|_| double_round(&mut state));
    core::array::from_fn(|index| state[index].wrapping_add(start[index]))
}

fn initial(key: &Key, counter: u32, nonce: &Nonce) -> Block {
    let mut state = [0; BLOCK_WORDS];
    state[..4].copy_from_slice(&CONSTANTS);
    state[4..12].copy_from_slice(key);
    state[12] = counter;
    state[13..].copy_from_slice(nonce);
    state
}

fn double_round(state: &mut Block) {
    for column in 0..4 {
        quarter_round(state, [column, column + 4, column + 8, column + 12]);
    }
    for diagonal in 0..4 {
        let turned = |row: usize| row * 4 + (diagonal + row) % 4;
        quarter_round(state, [turned(0), turned(1), turned(2), turned(3)]);
    }
}

fn quarter_round(state: &mut Block, [a, b, c, d]: [usize; 4]) {
    add_and_turn(state, a, b, d, 16);
    add_and_turn(state, c, d, b, 12);
    add_and_turn(state, a, b, d, 8);
    add_and_turn(state, c, d, b, 7);
}

/// `sum += addend`, then `target = (target ^ sum) <<< bits`.
fn add_and_turn(state: &mut Block, sum: usize, addend: usize, target: usize, bits: u32) {
    state[sum] = state[sum].wrapping_add(state[addend]);
    state[target] = (state[target] ^ state[sum]).rotate_left(bits);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key 00, 01, 02, … of the RFC's examples.
    const COUNTING: Key =
        [0x0302_0100, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c, 0x1312_1110, 0x1716_1514, 0x1b1a_1918, 0x1f1e_1d1c];

    #[test]
    fn quarter_round_of_section_2_1_1() {
        let mut state = [0; BLOCK_WORDS];
        state[..4].copy_from_slice(&[0x1111_1111, 0x0102_0304, 0x9b8d_6f43, 0x0123_4567]);
        quarter_round(&mut state, [0, 1, 2, 3]);
        assert_eq!(state[..4], [0xea2a_92f4, 0xcb1c_f8ce, 0x4581_472e, 0x5881_c4bb]);
    }

    #[test]
    fn block_of_section_2_3_2() {
        let expected = [
            0xe4e7_f110,
            0x1559_3bd1,
            0x1fdd_0f50,
            0xc471_20a3,
            0xc7f4_d1c7,
            0x0368_c033,
            0x9aaa_2204,
            0x4e6c_d4c3,
            0x4664_82d2,
            0x09aa_9f07,
            0x05d7_c214,
            0xa202_8bd9,
            0xd19c_12b5,
            0xb94e_16de,
            0xe883_d0cb,
            0x4e3c_50a2,
        ];
        assert_eq!(block(&COUNTING, 1, &[0x0900_0000, 0x4a00_0000, 0]), expected);
    }

    fn first_bytes(block: Block) -> [u8; 8] {
        let words = u64::from(block[0]) | u64::from(block[1]) << 32;
        words.to_le_bytes()
    }

    #[test]
    fn key_streams_of_appendix_a_1() {
        let zero = [0; KEY_WORDS];
        let nonce = [0; NONCE_WORDS];
        assert_eq!(first_bytes(block(&zero, 0, &nonce)), [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        assert_eq!(first_bytes(block(&zero, 1, &nonce)), [0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a]);
        let mut last_bit = zero;
        last_bit[7] = 0x0100_0000;
        assert_eq!(first_bytes(block(&last_bit, 1, &nonce)), [0x3a, 0xeb, 0x52, 0x24, 0xec, 0xf8, 0x49, 0x92]);
        let mut second = zero;
        second[0] = 0xff00;
        assert_eq!(first_bytes(block(&second, 2, &nonce)), [0x72, 0xd5, 0x4d, 0xfb, 0xf1, 0x2e, 0xc4, 0x4b]);
        assert_eq!(
            first_bytes(block(&zero, 0, &[0, 0, 0x0200_0000])),
            [0xc2, 0xc6, 0x4d, 0x37, 0x8c, 0xd5, 0x36, 0x37]
        );
    }
}
