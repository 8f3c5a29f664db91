"""Which of a source's streams a clip keeps: one rule for every mode and tool. Pure."""

from __future__ import annotations

from tasks.media import AudioFacts, MediaFacts
from worker.clip.containers import CONTAINERS, is_sound_alone

_OF_ONE_TRACK = frozenset({"gif", "mp3", "m4a"})  # players of these show one track


def kept_sounds(facts: MediaFacts, container: str, *, copied: bool) -> tuple[AudioFacts, ...]:
    """All tracks where the container may have several, else the default one.

    `copied`: only tracks whose packets the container takes; a copy encodes nothing.
    """
    tracks = facts.audio
    if container in _OF_ONE_TRACK:
        tracks = (facts.main_audio,) if facts.main_audio else ()
    if not copied:
        return tracks
    return tuple(track for track in tracks if CONTAINERS[container].takes_audio(track.codec))


def lost_tracks(facts: MediaFacts, container: str, kept: tuple[AudioFacts, ...]) -> list[str]:
    """A warning for each kind of track that the clip does not have, though it should."""
    lost = [f"the {track} cannot be decoded here and was left out" for track in facts.undecodable]
    if not is_sound_alone(container) and container != "gif":
        lost += [
            f"{container} does not take the {track.codec} sound"
            f"{f' ({track.language})' if track.language else ''}, which was left out"
            for track in facts.audio
            if track not in kept
        ]
    if facts.subtitle_count and not is_sound_alone(container):
        lost.append("subtitles are not kept in clips")
    return lost
