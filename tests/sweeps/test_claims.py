import time

from aejax.sweeps import claims


def test_a_heartbeat_that_fails_is_followed_by_others_and_the_claim_is_given_back_at_the_end(monkeypatch, caplog):
    monkeypatch.setattr(claims, "LEASE", 0.06)
    beats, released = [], []

    def beat():
        beats.append(time.monotonic())
        if len(beats) == 2:
            raise OSError("the disk is away")

    with claims.held(beat, lambda: released.append(len(beats))):
        deadline = time.monotonic() + 20
        while len(beats) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not released
    assert len(beats) >= 5
    assert released == [len(beats)]
    assert "a heartbeat failed (the disk is away)" in caplog.text


def test_the_claim_is_given_back_when_the_work_fails():
    released = []
    try:
        with claims.held(lambda: None, lambda: released.append(True)):
            raise RuntimeError
    except RuntimeError:
        pass
    assert released == [True]
