package journal

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
)

// packed is the first byte of a block that is compressed. Behind it are the size of the block, and the block itself, which begins with
// its version, as a frame of Zstandard (RFC 8878).
const packed = 5

// largestPacked is the most that a compressed block may have in memory, in bytes.
const largestPacked = 16 << 20

// window is how far back a text is looked for that comes again: a block names a text twice only within the texts of claims.
const window = 256 << 10

// Packer compresses blocks, one at a time.
type Packer struct {
	encoder *zstd.Encoder
	block   []byte
}

// Pack returns the block in what it takes in the database. It is valid until the next call.
func (p *Packer) Pack(block []byte) ([]byte, error) {
	if len(block) == 0 || len(block) > largestPacked {
		return block, nil
	}
	if p.encoder == nil {
		var err error
		p.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, err
		}
	}
	p.block = binary.AppendUvarint(append(p.block[:0], packed), uint64(len(block)))
	p.block = p.encoder.EncodeAll(block, p.block)
	return p.block, nil
}

// unpack returns a block that may be compressed as it was, or ErrDamaged. It takes no more memory than the block says, which has a bound.
func unpack(block []byte) ([]byte, error) {
	if len(block) == 0 || block[0] != packed {
		return block, nil
	}
	size, n := binary.Uvarint(block[1:])
	if n <= 0 || size > largestPacked {
		return nil, ErrDamaged
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(largestPacked), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	plain, err := decoder.DecodeAll(block[1+n:], make([]byte, 0, size))
	if err != nil || uint64(len(plain)) != size {
		return nil, ErrDamaged
	}
	return plain, nil
}
