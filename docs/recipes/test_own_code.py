from own_code import video_of

ORDER = 1831, "https://example.com/a.png", "https://example.com/b.mp4"


def test_an_order_is_billed_once(wanimate_simulator):
    assert video_of(*ORDER) == video_of(*ORDER)
    assert wanimate_simulator.billed_tasks == 1


def test_refused_content_gives_no_video(wanimate_simulator):
    wanimate_simulator.fail_with("CONTENT_VIOLATION")
    assert video_of(*ORDER) is None
