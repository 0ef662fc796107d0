# The last writer wins, field by field.
10:00:00 initiated direction=inbound from=+1 to=+2 endpoint=ep_1 | 10:00:01 initiated from=+3 task=1 | 10:00:02 queued to=+4
=> direction=inbound from=+3 to=+4 endpoint=ep_1 task=1
=> set_by.from_number=e02 lost.from_number="e01 superseded" set_by.to_number=e03 set_by.direction=e01

# What is told of who calls counts field by field too, and only from the originating leg.
10:00:00 initiated leg=a asserted=+1 caller_name=Ann privacy=yes | 10:00:01 initiated leg=b asserted=+2 | 10:00:02 initiated leg=a privacy=no
=> asserted=+1 caller_name=Ann privacy=no

# In the same instant the larger id wins.
10:00:00 initiated id=b from=+2 | 10:00:00 initiated id=a from=+1 => from=+2
10:00:00 initiated id=a10 from=+2 | 10:00:00 initiated id=a9 from=+1 => from=+1
10:00:00 initiated id=Z from=+2 | 10:00:00 initiated id=a from=+1 => from=+1

# A correction is another event, also after the end.
10:00:00 initiated from=+1 | 10:01:00 completed | 11:00:00 initiated from=+3 direction=outbound
=> from=+3 direction=outbound status=no_answer created=10:00:00

# An unknown direction is inbound, an unknown type a phone call.
10:00:00 initiated => direction=inbound type=phone from=none to=none endpoint=none opt_out=no

# The number of the organization's side.
10:00:00 initiated direction=inbound from=+1 to=+2 => own_number=+2
10:00:00 initiated direction=outbound from=+1 to=+2 => own_number=+1
10:00:00 initiated direction=outbound to=+2 => own_number=none

# Metadata merges key by key, and null deletes.
10:00:00 initiated metadata=a:1,b:2 | 10:00:01 metadata b=3 c=4 | 10:00:02 metadata a=null => metadata="b:3; c:4"
10:00:00 initiated metadata=a:1 | 10:00:01 metadata a=null | 10:00:02 completed metadata=a:5 => metadata=a:5
10:00:00 metadata a=null => metadata=none
10:00:00 metadata id=b a=1 | 10:00:00 metadata id=a a=null => metadata.a=1

# A late event that happened early loses only what others said later.
10:00:05 metadata a=2 | 10:00:01 metadata a=1 b=1 => metadata.a=2 metadata.b=1

# One word of not keeping is enough, whoever says what later.
10:00:00 initiated opt_out=yes | 10:00:01 turn role=user says=secret | 10:00:02 tool_invoked name=x | 10:00:03 transcript text=secret
10:00:04 recording_ready url=u | 10:00:05 initiated opt_out=no | 10:00:06 cost product=x cost=1
=> opt_out=yes turns=none tools=none transcript=none recording=none costs=1
10:00:00 initiated opt_out=yes | 10:00:03 transcript text=secret => transcript=none
10:00:01 turn role=user says=secret | 10:00:09 completed leg=b opt_out=yes => opt_out=yes turns=none
10:00:01 turn role=user says=secret opt_out=yes => opt_out=yes turns=none
10:00:01 turn role=user says=secret | 10:00:02 metadata opt_out=yes => opt_out=yes turns=none metadata=none
10:00:00 other opt_out=yes | 10:00:01 turn role=user says=secret | 10:00:02 recording_ready url=u => opt_out=yes turns=none recording=none
10:00:00 initiated opt_out=no | 10:00:01 turn role=user says=hello => opt_out=no turns="10:00:01 user hello"

# Turns that were made of a recording count only where nobody told any, whichever came first. They are no sign of life.
10:00:00 answered | 10:00:03 turn role=user says=made inferred=yes => turns="10:00:03 user made"
10:00:00 answered | 10:00:03 turn role=user says=made inferred=yes | 10:00:04 turn role=user says=told => turns="10:00:04 user told"
10:00:00 answered | 10:00:01 turn role=user says=told | 10:00:03 turn role=user says=made inferred=yes => turns="10:00:01 user told"
10:00:00 answered | 10:00:03 turn role=user says=made inferred=yes | 10:00:09 transcript text=whole => transcript=none
10:00:00 answered | 10:05:00 completed inferred=yes | 10:06:00 turn role=user says=made inferred=yes => status=completed

# A turn's time is the answer plus its start, else when it was reported.
10:00:05 answered | 10:00:20 turn role=user says=second start=3000 | 10:00:10 turn role=agent says=first start=1000
10:00:07 turn role=agent says=untimed
=> turns="10:00:06 agent first; 10:00:07 agent untimed; 10:00:08 user second" set_by.turns="e04; e03; e02"

# Without an answer it is the time of the report.
10:00:20 turn role=user says=hello start=3000 => turns="10:00:20 user hello"

# A late answer moves the turns.
10:00:05 answered | 10:00:03 answered | 10:00:20 turn role=user says=hello start=1000 => turns="10:00:04 user hello"
10:00:20 turn role=user says=hello start=1000 | 10:01:00 completed duration=50 => turns="10:00:11 user hello"

# Turns of one instant keep the order of their events.
10:00:00 answered | 10:00:09 turn id=x role=user says=one start=500 | 10:00:09 turn id=y role=agent says=two start=500
=> turns="10:00:00.500 user one; 10:00:00.500 agent two"

# A transcript as text counts only where there are no turns; the last one does.
10:00:00 transcript text=old | 10:00:01 transcript text=new => transcript=new set_by.transcript_text=e02
10:00:00 transcript text=all | 10:00:01 turn role=user says=hello
=> transcript=none turns="10:00:01 user hello" set_by.transcript_text=none lost.transcript_text="e01 superseded"

# Tool calls and their results stand in the order of time.
10:00:02 tool_result result={t:20} tool_call=1 | 10:00:01 tool_invoked name=weather arguments={c:B} tool_call=1
10:00:03 tool_result result=none is_error=yes
=> tools="10:00:01 weather {c:B}; 10:00:02 returned {t:20}; 10:00:03 failed none" set_by.tools="e02; e01; e03"

# A recording is there, is gone, is there again.
10:00:00 recording_ready url=https://x/1 => recording="e01 https://x/1"
10:00:00 recording_ready url=https://x/1 | 10:00:01 recording_deleted => recording=none set_by.recording=e02
10:00:00 recording_ready url=https://x/1 | 10:00:02 recording_ready object=rec/2 | 10:00:01 recording_deleted
=> recording="e02 rec/2"

# A recording that should be there is missing until it comes, or nothing was heard, or it was deleted.
10:00:09 completed => lacks_recording=no
10:00:09 completed recorded=yes => lacks_recording=yes
10:00:09 completed recorded=yes | 10:00:11 recording_ready url=https://x/1 => lacks_recording=no
10:00:09 completed recorded=yes | 10:00:11 recording_failed => lacks_recording=yes
10:00:09 completed recorded=yes | 10:00:11 recording_failed is_empty=yes => lacks_recording=no
10:00:09 completed recorded=yes | 10:00:11 recording_ready url=https://x/1 | 10:00:12 recording_deleted => lacks_recording=no
10:00:09 completed | 10:00:11 recording_failed => lacks_recording=yes
10:00:00 initiated opt_out=yes | 10:00:09 completed recorded=yes => lacks_recording=no

# What was said is gone once that is told, whatever comes when; what an analysis counts stays.
10:00:01 turn role=user says=hello | 10:00:02 tool_invoked name=weather | 10:00:09 transcript_deleted
10:00:03 analysis successful=yes summary=good sentiment=positive custom={x:1}
=> turns=none tools=none successful=yes summary=none sentiment=positive custom=none set_by.transcript_deleted=e03
10:00:09 transcript_deleted | 10:00:10 transcript text=late | 10:00:08 transcript_deleted
=> transcript=none set_by.transcript_deleted=e03 lost.transcript_deleted="e01 not_the_earliest"
10:00:00 recording_ready url=https://x/1 | 10:00:09 transcript_deleted => recording="e01 https://x/1"
10:00:03 analysis successful=yes summary=good | 10:00:09 transcript_deleted | 10:00:10 initiated opt_out=yes
=> successful=yes summary=none

# Recordings replace each other whole.
10:00:00 recording_ready url=https://x/1 seconds=5 | 10:00:01 recording_ready object=rec/2 => recording="e02 rec/2"

# An analysis merges field by field.
10:00:00 answered => analysed=no
10:00:00 analysis successful=yes summary=good sentiment=positive | 10:00:01 analysis successful=no in_voicemail=no custom={x:1}
=> analysed=yes successful=no summary=good sentiment=positive in_voicemail=no custom={x:1}
=> set_by.successful=e02 lost.successful="e01 superseded" set_by.summary=e01

# Samples of a stage are all of them, ascending.
10:00:00 latency stage=llm ms=300 | 10:00:01 latency stage=llm ms=100 | 10:00:02 latency stage=llm ms=200 | 10:00:01 latency stage=tts ms=9
=> samples.llm="100; 200; 300" p50.llm=200 num.llm=3 p50.tts=9 p50.stt=none

# A source's own summary goes before the samples; the last one of a stage counts.
10:00:00 latency stage=e2e ms=100 | 10:00:01 latency_summary stage=e2e p50=50 num=9 | 10:00:02 latency_summary stage=e2e p50=60
=> p50.e2e=60 num.e2e=none samples.e2e=100
10:00:01 latency_summary stage=stt p50=50 num=9 => p50.stt=50 num.stt=9 samples.stt=none

# The last measure of each side, and the worst loss of any.
10:00:00 quality of=agent loss=0.3 mos=4 | 10:00:01 quality of=agent loss=0.1 | 10:00:02 quality of=caller loss=0.2 mos=3
=> loss.agent=0.1 mos.agent=none loss.caller=0.2 mos.caller=3 worst_loss=0.3
10:00:00 quality of=agent mos=4 => worst_loss=none loss.agent=none

# The audio is what the last media event says, each field for itself.
10:00:00 media codec=PCMA ms=20 | 10:00:01 quality of=agent codec=opus hz=48000 | 10:00:02 media codec=PCMU
=> audio="PCMU 48000" media="PCMU 20"
10:00:00 quality of=agent codec=opus hz=48000 | 10:00:01 quality of=caller codec=PCMA => audio="PCMA 48000"
10:00:00 media => media="none none" audio=none set_by.media=none
