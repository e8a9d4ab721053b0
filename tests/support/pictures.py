"""Small real pictures, so that a page with them looks as it would: a measured curve as PNG, a mosaic as baseline JPEG."""
import math
import struct
import zlib

WIDTH, HEIGHT = 240, 120
PALETTE = bytes((250, 250, 252, 214, 218, 226, 28, 88, 217, 36, 41, 47))   # paper, grid, curve, axis


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rng):
    """Two bits a pixel: about 700 bytes."""
    period, phase, swing = 20 + rng.random() * 60, rng.random() * 6, 15 + rng.random() * 35
    curve = [HEIGHT / 2 + swing * math.sin(x / period * 2 * math.pi + phase) for x in range(WIDTH)]
    rows = bytearray()
    for y in range(HEIGHT):
        pixels = [2 if abs(y - curve[x]) < 1.5 else 3 if x == 12 or y == HEIGHT - 12 else 1 if x % 24 == 12 or y % 24 == 12 else 0 for x in range(WIDTH)]
        rows.append(0)
        rows += bytes(pixels[i] << 6 | pixels[i + 1] << 4 | pixels[i + 2] << 2 | pixels[i + 3] for i in range(0, WIDTH, 4))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 2, 3, 0, 0, 0)) + chunk(b"PLTE", PALETTE) +
            chunk(b"IDAT", zlib.compress(bytes(rows), 9)) + chunk(b"IEND", b""))


def jpeg(rng):
    """Grey squares: of each block only the mean (DC), so that a few bytes of Huffman tables are enough (ITU-T T.81)."""
    across, down = 20, 12
    bits, last = "", 0
    for y in range(down):
        for x in range(across):
            level = int(70 * math.sin(x / 3 + y / 4) + rng.randrange(-30, 30)) * 8
            diff, last = level - last, level
            size = abs(diff).bit_length()
            # Codes for sizes 0 to 11, four bits each, in order; then the bits of the difference; then "no more" (one bit).
            bits += format(size, "04b") + (format(diff if diff > 0 else diff + (1 << size) - 1, f"0{size}b") if size else "") + "0"
    bits += "1" * (-len(bits) % 8)
    scan = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")

    def segment(marker, data):
        return b"\xff" + bytes((marker,)) + struct.pack(">H", len(data) + 2) + data

    return (b"\xff\xd8" + segment(0xe0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + segment(0xdb, b"\0" + b"\1" * 64) +
            segment(0xc0, struct.pack(">BHHB", 8, down * 8, across * 8, 1) + b"\1\x11\0") +
            segment(0xc4, b"\0" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12))) + segment(0xc4, b"\x10" + bytes([1] + [0] * 15) + b"\0") +
            segment(0xda, b"\1\1\0\0\x3f\0") + scan + b"\xff\xd9")


def picture(mime, rng, size):
    """A picture of exactly that many bytes (what follows its end is nobody's business), or None when it does not fit."""
    data = {"image/png": png, "image/jpeg": jpeg}[mime](rng)
    return data + rng.randbytes(size - len(data)) if len(data) <= size else None
