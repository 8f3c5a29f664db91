"""The form of sound, as the head of each packet declares it: rate, channels, profile."""

ADTS_PROFILE_AND_RATE, ADTS_CHANNELS = 0xFD, 0xC0
MPEG_VERSION_AND_LAYER, MPEG_RATE, MPEG_MONO = 0x1E, 0x0C, 3


def sound_form(codec: str, packet: bytes) -> object:
    """Equal for packets of one form; None where a packet does not say it."""
    if len(packet) < 8:
        return None
    if codec == "aac" and packet[0] == 0xFF and packet[1] & 0xF6 == 0xF0:
        return packet[2] & ADTS_PROFILE_AND_RATE, packet[3] & ADTS_CHANNELS
    if codec in ("mp2", "mp3") and packet[0] == 0xFF and packet[1] & 0xE0 == 0xE0:
        mono = packet[3] >> 6 == MPEG_MONO
        return packet[1] & MPEG_VERSION_AND_LAYER, packet[2] & MPEG_RATE, mono
    if codec == "ac3" and packet[:2] == b"\x0b\x77":
        return packet[4] & 0xC0, packet[6] >> 5
    if codec == "eac3" and packet[:2] == b"\x0b\x77":
        return packet[4] & 0xCF
    return None
