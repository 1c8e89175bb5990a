from support.door import *  # noqa
def test_ok(door):
    """x"""
    assert door.post(call()).status == 200
    print(door.backend.only())
    print(door.gateway.log)
    assert 0
