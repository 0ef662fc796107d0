# An end that was concluded counts where nothing speaks against it.
10:00:00 answered | 10:05:00 completed inferred=yes by=system
=> status=completed ended=10:05:00 by=system inferred=yes set_by.end=e02

# Every later sign of life refutes it.
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 seen
=> status=in_progress live=yes ended=none lost.end="e02 refuted" set_by.end=none
10:00:00 initiated | 10:05:00 completed inferred=yes | 10:06:00 queued => status=initiated
10:00:00 initiated | 10:05:00 completed inferred=yes | 10:06:00 initiated => status=initiated
10:00:00 initiated | 10:05:00 completed inferred=yes | 10:06:00 invite_sent => status=initiated
10:00:00 initiated | 10:05:00 completed inferred=yes | 10:06:00 ringing => status=ringing
10:00:00 initiated | 10:05:00 completed inferred=yes | 10:06:00 answered => status=in_progress answered=10:06:00
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 media codec=PCMA => status=in_progress
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 held => status=in_progress
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 resumed => status=in_progress
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 transferred => status=in_progress
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 dtmf => status=in_progress
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 turn role=user says=hello => status=in_progress
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 tool_invoked name=x => status=in_progress
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 tool_result result=1 => status=in_progress

# What comes after a call refutes nothing.
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 latency stage=llm ms=1 | 10:06:00 quality of=agent mos=4
10:06:00 latency_summary stage=llm p50=1 | 10:06:00 cost product=x cost=1 | 10:06:00 recording_ready url=u
10:06:00 recording_deleted | 10:06:00 transcript text=x | 10:06:00 analysis summary=x | 10:06:00 metadata a=1 | 10:06:00 other
=> status=completed ended=10:05:00

# Life at the instant of the concluded end, or before it, refutes nothing.
10:00:00 answered | 10:05:00 completed inferred=yes | 10:05:00 seen id=z => status=completed
10:00:00 answered | 10:04:59.999 seen | 10:05:00 completed inferred=yes => status=completed

# A told end of the whole call goes before a concluded one, earlier or later.
10:00:00 answered | 10:05:00 completed inferred=yes cause=timeout | 10:04:00 completed cause=user_hangup
=> ended=10:04:00 cause=user_hangup inferred=no set_by.end=e03 lost.end="e02 superseded"
10:00:00 answered | 10:05:00 completed inferred=yes cause=timeout | 10:07:00 completed cause=user_hangup
=> ended=10:07:00 cause=user_hangup inferred=no lost.end="e02 refuted"

# Given up, come back, given up again: the last one counts, since the first is refuted.
10:00:00 answered | 10:05:00 completed inferred=yes cause=timeout | 10:06:00 seen | 10:10:00 completed inferred=yes by=system
=> ended=10:10:00 by=system cause=normal_clearing lost.end="e02 refuted"

# Given up twice with nothing between: the earliest counts.
10:00:00 answered | 10:05:00 completed inferred=yes | 10:10:00 completed inferred=yes
=> ended=10:05:00 set_by.end=e02 lost.end="e03 superseded"

# A concluded end does not refute another.
10:00:00 answered | 10:05:00 completed inferred=yes | 10:10:00 completed inferred=yes | 10:11:00 seen
=> status=in_progress lost.end="e02 refuted; e03 refuted"

# A refuted end says nothing of where the call stands.
10:00:00 queued | 10:05:00 completed inferred=yes | 10:06:00 seen => status=queued live=no
10:05:00 completed inferred=yes | 10:06:00 turn role=user says=hello => status=queued live=no
10:00:00 ringing | 10:05:00 completed inferred=yes answered=10:01:00 rang=09:59:00 duration=100 | 10:06:00 seen
=> status=ringing answered=none ringing=10:00:00

# Its answer gives way to the end that was told.
10:05:00 completed inferred=yes answered=10:01:00 | 10:04:00 failed cause=no_answer => status=no_answer answered=none

# What it tells of the parties stays.
10:05:00 completed inferred=yes from=+1 metadata=a:1 | 10:06:00 seen => from=+1 metadata=a:1

# It counts for the answer where it counts.
10:05:00 completed inferred=yes duration=60 => status=completed answered=10:04:00 talk=60

# A concluded end of one leg is refuted by that leg or by the call, not by another leg.
10:00:00 answered leg=a | 10:00:01 answered leg=b | 10:05:00 completed leg=b inferred=yes | 10:06:00 dtmf leg=a
10:07:00 completed leg=a cause=user_hangup => ended=10:07:00 cause=user_hangup
10:00:00 answered leg=a | 10:00:01 answered leg=b | 10:05:00 completed leg=b inferred=yes | 10:06:00 dtmf leg=b
10:07:00 completed leg=a => status=in_progress lost.end="e03 refuted"
10:00:00 answered leg=a | 10:00:01 answered leg=b | 10:05:00 completed leg=b inferred=yes | 10:06:00 seen
10:07:00 completed leg=a => status=in_progress

# Of one leg's ends what was told goes before what was concluded.
10:00:00 answered leg=a | 10:05:00 completed leg=a cause=user_hangup | 10:06:00 completed leg=a inferred=yes
=> ended=10:05:00 cause=user_hangup inferred=no

# A failed try does not keep the call from being given up.
10:00:00 initiated leg=a | 10:00:20 failed leg=b cause=busy | 10:05:00 completed inferred=yes cause=timeout
=> ended=10:05:00 inferred=yes cause=timeout

# Neither does one leg that ended while the other was lost.
10:00:00 answered leg=a | 10:00:01 answered leg=b | 10:03:00 completed leg=a cause=user_hangup | 10:05:00 completed inferred=yes
=> ended=10:05:00 inferred=yes lost.end="e03 other_leg"

# A told end of any leg after a concluded end shows that the call had gone on.
10:00:00 answered leg=a | 10:00:01 answered leg=b | 10:05:00 completed inferred=yes | 10:06:00 completed leg=b
=> status=in_progress ended=none

# Legs whose ends were told go before a concluded end of the call.
10:00:00 answered leg=a | 10:03:00 completed leg=a cause=user_hangup | 10:05:00 completed inferred=yes
=> ended=10:03:00 cause=user_hangup inferred=no

# Where every end is concluded, the one without a leg goes before the legs.
10:00:00 answered leg=a | 10:05:00 completed inferred=yes by=system | 10:06:00 completed leg=a inferred=yes
=> ended=10:05:00 by=system inferred=yes set_by.end=e02
10:00:00 answered leg=a | 10:06:00 completed inferred=yes by=system | 10:05:00 completed leg=a inferred=yes
=> ended=10:06:00 by=system
