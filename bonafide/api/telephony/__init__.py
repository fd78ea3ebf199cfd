"""Phone calls, as each exchange sends them. Every file translates one protocol to `live/phone_calls.py`."""
