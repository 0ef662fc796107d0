# The earliest end without a leg counts, with its cause and source.
10:00:00 answered | 10:01:00 completed cause=user_hangup by=caller | 10:01:02 completed cause=agent_hangup by=callee
=> ended=10:01:00 cause=user_hangup by=caller set_by.end=e02 lost.end="e03 superseded"

# Of two ends in one instant the one with the smaller id counts.
10:00:00 answered | 10:01:00 completed id=z cause=user_hangup | 10:01:00 completed id=b cause=agent_hangup
=> cause=agent_hangup set_by.end=b lost.end="z superseded"

# A completed and a failed end: the earlier one.
10:00:00 answered | 10:01:00 failed | 10:01:01 completed => status=failed failed=yes ended=10:01:00
10:00:00 answered | 10:01:00 completed | 10:01:01 failed => status=completed failed=no

# A call detail record alone makes a complete call.
10:03:05 completed cause=agent_hangup by=callee started=10:00:00 rang=10:00:02 answered=10:00:05 direction=inbound from=+49301 to=+49302 type=web endpoint=ep_1 phone_number=pn_1 metadata=a:1,b:2 context={c:3} task=7 call_sid=CA1 conference_sid=CF1 sip_call_id=x@y
=> status=completed disconnection=agent_hangup created=10:00:00 ringing=10:00:02 answered=10:00:05 ended=10:03:05
=> talk=180 total=185 direction=inbound from=+49301 to=+49302 type=web endpoint=ep_1 phone_number=pn_1
=> metadata="a:1; b:2" context={c:3} task=7 call_sid=CA1 conference_sid=CF1 sip_call_id=x@y own_number=+49302

# A record of an unanswered call.
10:00:30 failed cause=no_answer started=10:00:00 rang=10:00:03 duration=0
=> status=no_answer created=10:00:00 ringing=10:00:03 answered=none talk=0 total=30

# A duration implies the answer where none is told.
10:03:05 completed started=10:00:00 duration=180 => status=completed answered=10:00:05 talk=180 set_by.answered_at=e01
10:03:05 completed duration=180.5 => answered=10:00:04.500 talk=180.5 created=10:03:05 total=0
10:00:00 initiated | 10:03:05 completed duration=180 => answered=10:00:05

# A duration of nothing implies no answer.
10:00:30 completed duration=0 => status=no_answer answered=none
10:00:00 answered | 10:00:30 completed duration=0 => status=completed answered=10:00:00 talk=30

# Any answer that is told goes before one that is implied, also a later one.
10:00:10 answered | 10:03:05 completed duration=180 => answered=10:00:10
10:03:05 completed answered=10:00:10 duration=180 => answered=10:00:10

# The talk time that the end of the whole call states goes before what the clocks say, and a difference is noted.
10:00:10 answered | 10:03:05 completed duration=180 => talk=180 total=175 notes="e02 lengths_differ 180 175 stated"
10:03:05 completed answered=10:00:10 duration=180 => talk=180 notes="e01 lengths_differ 180 175 stated"
10:00:00 answered | 10:00:29.500 completed duration=29.654 => talk=29.654 notes=none
10:00:00 answered | 10:01:00.400 completed duration=61 => talk=61 notes=none

# Clocks that only refine a talk time in whole seconds are believed.
10:00:00 answered | 10:01:00.400 completed duration=60 => talk=60.4 notes=none

# The length of one leg does not state that of the call.
10:00:00 answered leg=a | 10:01:00 completed leg=a duration=30 => talk=60

# A record that contradicts its own clocks says so.
10:10:00 completed leg=a duration=4200 clock_duration=600 started=09:00:00 => talk=4200 notes="e01 lengths_differ 4200 600 stated"

# Of a leg whose length and clocks differ the clocks count, or neither where another leg decides.
10:01:00 completed leg=a started=10:00:00 answered=10:00:10 duration=20
=> talk=50 notes="e01 lengths_differ 20 50 clocks"
10:00:00 answered leg=a | 10:01:00 completed leg=b answered=10:00:50 duration=30 | 10:05:00 completed leg=a
=> talk=300 notes="e02 lengths_differ 30 10 neither"
10:01:00 completed leg=b answered=10:00:50 duration=30 | 10:00:00 ringing leg=a
=> ended=none notes="e01 lengths_differ 30 10 neither"

# A length that exceeds the call implies no answer before its start. What the end of the whole call states still counts.
10:05:00 completed started=10:00:00 duration=600
=> created=10:00:00 answered=10:00:00 talk=600 total=300 notes="e01 talk_exceeds_call 600 300 stated"
10:05:00 completed leg=a started=10:00:00 duration=600
=> created=10:00:00 answered=10:00:00 talk=300 notes="e01 talk_exceeds_call 600 300 clocks"
10:05:00 completed started=10:06:00 duration=600 => created=10:05:00 answered=10:05:00 talk=600
10:05:00 completed started=10:00:00 duration=301 => answered=10:00:00 talk=301 notes=none

// Without a start nothing shows when the call began.
10:05:00 completed duration=600 => created=10:05:00 answered=09:55:00 talk=600 notes=none

# Of several implied answers the earliest counts.
10:03:05 completed duration=180 | 10:03:06 completed duration=182
=> answered=10:00:04 ended=10:03:05 set_by.answered_at=e02

# A start that lies after the event that names it does not make the call younger.
10:00:05 completed started=10:00:09 => created=10:00:05 total=0

# A record that names an earlier start moves the creation back.
10:00:01 initiated | 10:00:31 completed started=10:00:00 => created=10:00:00 set_by.created_at=e02

# The earliest of what is told by events and records: ringing and answer.
10:00:03 ringing | 10:00:06 answered | 10:01:00 completed rang=10:00:02 answered=10:00:07
=> ringing=10:00:02 answered=10:00:06 set_by.ringing_at=e03 set_by.answered_at=e02

# An end before the answer comes of two clocks: the call was answered, at its end at the latest.
10:00:00 initiated | 10:00:05 completed | 10:05:00 answered
=> status=completed ended=10:00:05 answered=10:00:05 talk=0 total=5 notes="e03 answered_after_end 295"
10:00:00 initiated | 10:01:00 completed duration=50 | 10:05:00 answered
=> ended=10:01:00 answered=10:00:10 talk=50 notes="e03 answered_after_end 240; e02 lengths_differ 50 0 stated"
10:00:00 initiated | 10:00:05 completed answered=10:00:07 duration=60 => answered=10:00:00 talk=60

# A record knows about when it was answered: what an event tells goes first, and it goes before what a length implies.
10:01:00 completed leg=a about=10:00:29.500 duration=30 => status=completed answered=10:00:29.500 talk=30.5
10:00:29.870 answered leg=b | 10:01:00 completed leg=b | 10:01:00 completed leg=a about=10:00:29.500 duration=30
=> answered=10:00:29.870

# What comes after the end is normal.
10:00:00 answered | 10:01:00 completed | 10:02:00 analysis summary=fine | 10:03:00 cost product=sms cost=0.05
=> status=completed summary=fine costs=1 total=60
10:00:00 answered | 10:01:00 completed | 10:05:00 recording_ready url=https://x/y | 10:06:00 answered
=> status=completed recording="e03 https://x/y" answered=10:00:00

# A told end is not refuted by later life.
10:00:00 answered | 10:01:00 completed | 10:02:00 turn role=user says=hello | 10:03:00 seen
=> status=completed ended=10:01:00
