# Only queued so far: queued, not live.
10:00:00 queued => status=queued live=no disconnection=none talk=none total=none ended=none

# Being set up.
10:00:00 initiated => status=initiated live=yes created=10:00:00 ringing=none answered=none
10:00:00 queued | 10:00:04 initiated => status=initiated live=yes created=10:00:00

# An invitation that left counts as initiated.
10:00:00 invite_sent => status=initiated live=yes
10:00:00 queued | 10:00:01 invite_sent => status=initiated live=yes

# Every other lifecycle event shows that the call is being set up.
10:00:00 media codec=PCMA => status=initiated live=yes
10:00:00 held => status=initiated
10:00:00 resumed => status=initiated
10:00:00 transferred => status=initiated
10:00:00 dtmf => status=initiated

# The destination rings.
10:00:00 initiated | 10:00:02 ringing => status=ringing live=yes ringing=10:00:02
10:00:02 ringing => status=ringing live=yes created=10:00:02

# Ringing goes before a later sign of being set up.
10:00:00 ringing | 10:00:02 invite_sent | 10:00:03 initiated => status=ringing

# Answered, not ended.
10:00:00 initiated | 10:00:02 ringing | 10:00:05 answered => status=in_progress live=yes answered=10:00:05 talk=none
10:00:05 answered => status=in_progress live=yes ringing=none

# Answered goes before ringing, whichever came first.
10:00:05 answered | 10:00:07 ringing => status=in_progress answered=10:00:05 ringing=10:00:07

# Ended goes before everything.
10:00:00 initiated | 10:00:05 answered | 10:03:05 completed | 10:03:06 ringing
=> status=completed live=no ended=10:03:05 talk=180 total=185

# A whole call: talk time from the answer, total time from the creation.
10:00:00 initiated direction=inbound | 10:00:02 ringing | 10:00:05 answered | 10:03:05 completed cause=user_hangup by=caller
=> status=completed disconnection=user_hangup talk=180 total=185 created=10:00:00 ringing=10:00:02 answered=10:00:05
=> set_by.created_at=e01 set_by.ringing_at=e02 set_by.answered_at=e03 set_by.end=e04

# The earliest of each type counts, however often it is told.
10:00:02 ringing | 10:00:01 ringing | 10:00:06 answered | 10:00:05 answered
=> ringing=10:00:01 answered=10:00:05 set_by.answered_at=e04 lost.answered_at="e03 not_the_earliest"

# The earliest event creates the call, whatever its type.
09:59:58 metadata a=1 | 10:00:00 initiated => created=09:59:58 status=initiated
09:59:58 other | 10:00:00 initiated => created=09:59:58
09:59:58 seen | 10:00:00 initiated => created=09:59:58

# Without a lifecycle event a call is queued, so not live.
10:00:00 cost product=sms cost=0.05 => status=queued live=no costs=1
10:00:00 turn role=user says=hello => status=queued live=no
10:00:00 metadata a=1 => status=queued live=no
10:00:00 recording_ready url=https://x/y => status=queued live=no
10:00:00 analysis summary=well => status=queued live=no
10:00:00 latency stage=llm ms=5 => status=queued live=no
10:00:00 quality of=agent loss=0.1 => status=queued live=no
10:00:00 other => status=queued live=no

# Proof of life shows no state by itself.
10:00:00 seen => status=queued live=no
10:00:00 queued | 10:00:01 seen => status=queued live=no
10:00:00 ringing | 10:00:01 seen => status=ringing

# Given up while it rings: no talk time, though a total.
10:00:00 initiated direction=inbound | 10:00:02 ringing | 10:00:09 completed by=caller
=> status=canceled disconnection=user_hangup talk=0 total=9

# An x_ event has no effect.
10:00:00 initiated | 10:00:01 other | 10:00:02 ringing => status=ringing

# Hold changes no status.
10:00:00 answered | 10:00:10 held => status=in_progress
10:00:00 answered | 10:00:10 held | 10:00:20 resumed => status=in_progress

# An answer in the instant of the end is an answer.
10:00:00 initiated | 10:00:05 completed | 10:00:05 answered => status=completed talk=0

# Talk time to the millisecond.
10:00:00 answered | 10:00:05.560 completed => talk=5.56 total=5.56
