//! What the calls are about: who answers, and what is said. `{slot}` is filled anew for each call.

/// One kind of call.
pub(super) struct Scenario {
    /// Its name, as the metadata has it.
    pub(super) name: &'static str,
    /// The agent that takes or places it.
    pub(super) agent: Agent,
    /// How many in a hundred are placed by the agent.
    pub(super) outbound_percent: u32,
    /// What the agent says first: when called, and when calling.
    pub(super) greetings: [&'static [&'static str]; 2],
    /// What follows.
    pub(super) steps: &'static [Step],
    /// The summary when it went well.
    pub(super) summary: &'static str,
    /// What an analysis finds besides; a JSON object.
    pub(super) findings: &'static str,
    /// Where it is handed over to.
    pub(super) desk: &'static str,
}

/// An endpoint of the demonstration, and its phone number.
pub(super) struct Agent {
    /// Its id.
    pub(super) id: &'static str,
    /// Its name.
    pub(super) name: &'static str,
    /// The platform it runs on.
    pub(super) provider: &'static str,
    /// Its phone number, of the range that is kept for fiction.
    pub(super) number: &'static str,
}

impl Agent {
    /// The id of its phone number.
    pub(super) fn number_id(&self) -> String {
        self.id.replacen("ep_", "pn_", 1)
    }
}

/// One step of a conversation.
pub(super) enum Step {
    /// The agent says one of these.
    Agent(&'static [&'static str]),
    /// The user says one of these.
    User(&'static [&'static str]),
    /// The agent calls a tool: name, arguments, result, and the milliseconds it takes.
    Tool(&'static str, &'static str, &'static str, f64),
    /// The user presses keys.
    Keys(&'static str),
    /// Happens in some calls only: how often in a hundred, and what.
    Sometimes(u32, &'static [Step]),
}

use Step::{Agent as A, Keys, Sometimes, Tool, User as U};

/// Every kind of call.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "appointment_booking",
        agent: Agent {
            id: "ep_demo_scheduler",
            name: "Riverside Dental: scheduler",
            provider: "livekit",
            number: "+12025550101",
        },
        outbound_percent: 15,
        greetings: [
            &[
                "Riverside Dental, this is Ava. How can I help?",
                "Thank you for calling Riverside Dental. How can I help you?",
            ],
            &[
                "Hello {name}, this is Ava from Riverside Dental. You are due for a check-up. Do you have a minute?",
            ],
        ],
        steps: &[
            U(&[
                "I'd like to book an appointment.",
                "I need to see {doctor} for a check-up.",
                "Yes, I have a toothache, so soon would be good.",
            ]),
            A(&[
                "Of course. Which day works best for you?",
                "Happy to help. When would you like to come in?",
            ]),
            U(&["{date} would be great.", "Some time on {date}, if you can.", "How about {date}?"]),
            Tool(
                "find_slots",
                r#"{"practitioner": "{doctor}", "day": "{date}"}"#,
                r#"{"slots": ["09:15", "{time}", "16:40"]}"#,
                420.0,
            ),
            A(&[
                "{doctor} is free at {time} on {date}. Shall I book that?",
                "I have {time} on {date} with {doctor}. Does that work?",
            ]),
            Sometimes(
                30,
                &[
                    U(&["Do you have anything later that day?", "Hmm, that's a bit early for me."]),
                    A(&[
                        "The next one is at twenty to five.",
                        "I can also offer four forty in the afternoon.",
                    ]),
                ],
            ),
            U(&["Perfect, please book it.", "Yes, that works.", "Great, I'll take it."]),
            Tool(
                "book_slot",
                r#"{"day": "{date}", "at": "{time}", "patient": "{full}"}"#,
                r#"{"booked": true, "reference": "{reference}"}"#,
                650.0,
            ),
            A(&[
                "You're booked. Your reference is {reference}. See you on {date}!",
                "All set, {name}. We will send you a reminder the day before.",
            ]),
            U(&["Thank you, bye.", "Thanks a lot!"]),
        ],
        summary: "{full} booked an appointment with {doctor} on {date} at {time}.",
        findings: r#"{"intent": "book", "reference": "{reference}"}"#,
        desk: "+12025550190",
    },
    Scenario {
        name: "order_status",
        agent: Agent {
            id: "ep_demo_orders",
            name: "Larkspur Goods: order desk",
            provider: "vapi",
            number: "+12025550102",
        },
        outbound_percent: 0,
        greetings: [
            &[
                "Larkspur Goods, you're speaking with Sam. What can I do for you?",
                "Hi, this is Sam at Larkspur Goods.",
            ],
            &["Hello, this is Sam from Larkspur Goods."],
        ],
        steps: &[
            U(&[
                "Hi, where is my order?",
                "I ordered a {item} and it isn't here.",
                "Can you check on an order?",
            ]),
            A(&["Sure. What's the order number?", "I can look that up. Do you have the order number?"]),
            U(&["It's {order}.", "Let me see. {order}."]),
            Tool(
                "get_order",
                r#"{"order_id": "{order}"}"#,
                r#"{"status": "in_transit", "carrier": "Blue Arrow", "city": "{city}", "expected": "{date}"}"#,
                380.0,
            ),
            A(&[
                "Your {item} left our warehouse and is in {city} now. It should arrive on {date}.",
                "I found it. The {item} is on its way and due on {date}.",
            ]),
            Sometimes(
                35,
                &[
                    U(&["Can I change the address?", "Could it be left with a neighbour?"]),
                    A(&[
                        "The carrier can do that. I'll text you the link.",
                        "Yes, I've just added that to the delivery note.",
                    ]),
                ],
            ),
            U(&["Okay, that's fine. Thanks.", "Good to know, thank you.", "Alright, I can wait."]),
            A(&["Anything else I can help with?", "Thanks for calling Larkspur Goods!"]),
            U(&["No, that's all.", "That's it, bye."]),
        ],
        summary: "{full} asked about order {order}; it is in transit and due on {date}.",
        findings: r#"{"intent": "track", "order_id": "{order}"}"#,
        desk: "+12025550191",
    },
    Scenario {
        name: "billing_question",
        agent: Agent {
            id: "ep_demo_billing",
            name: "Northwind Energy: billing",
            provider: "retell",
            number: "+12025550103",
        },
        outbound_percent: 10,
        greetings: [
            &[
                "Northwind Energy billing, how may I help?",
                "Hello, you've reached Northwind Energy. What is this about?",
            ],
            &[
                "Hello {name}, this is Northwind Energy about your bill of {amount} dollars. Is this a good time?",
            ],
        ],
        steps: &[
            U(&[
                "My bill is {amount} dollars this month. Why is it so high?",
                "I don't understand this charge of {amount} dollars.",
                "Yes, I was wondering about that bill.",
            ]),
            A(&[
                "Let me have a look. Could you tell me your customer number?",
                "I understand. What's your customer number, please?",
            ]),
            U(&["{customer}.", "Sure, it's {customer}."]),
            Tool(
                "get_invoice",
                r#"{"customer_id": "{customer}"}"#,
                r#"{"total": "{amount}", "period_days": 34, "reading": "estimated"}"#,
                540.0,
            ),
            A(&[
                "The reading was estimated, and the period had thirty-four days instead of thirty.",
                "I see an estimated reading here, so the amount may be too high.",
            ]),
            Sometimes(
                40,
                &[
                    U(&["So what do I do now?", "That can't be right. I was away for two weeks!"]),
                    A(&[
                        "If you read the meter for me, I can correct it.",
                        "I can send somebody to read the meter on {date}.",
                    ]),
                ],
            ),
            U(&["Okay. Please correct it.", "Could I pay in two parts?", "Fine, do that."]),
            Tool(
                "adjust_invoice",
                r#"{"customer_id": "{customer}", "reason": "estimated_reading"}"#,
                r#"{"accepted": true, "reference": "{reference}"}"#,
                700.0,
            ),
            A(&[
                "Done. A corrected bill is on its way. Your reference is {reference}.",
                "I've noted that under {reference}. You'll hear from us by {date}.",
            ]),
            U(&["Thank you for your help.", "Alright. Goodbye."]),
        ],
        summary: "{full} questioned a bill of {amount} dollars; a correction was started as {reference}.",
        findings: r#"{"intent": "dispute", "amount": "{amount}"}"#,
        desk: "+12025550192",
    },
    Scenario {
        name: "delivery_change",
        agent: Agent {
            id: "ep_demo_delivery",
            name: "Blue Arrow Parcels: delivery line",
            provider: "livekit",
            number: "+12025550104",
        },
        outbound_percent: 75,
        greetings: [
            &[
                "Blue Arrow Parcels, what's your tracking number?",
                "Blue Arrow Parcels, hello! Is it about a delivery?",
            ],
            &[
                "Hi {name}, Blue Arrow Parcels here. We could not deliver your {item} today.",
                "Hello, this is Blue Arrow about a parcel for {full}.",
            ],
        ],
        steps: &[
            U(&["Oh. I wasn't at home.", "Yes, I got the note on my door.", "Right, what can we do?"]),
            A(&[
                "We can bring it again on {date}. Would that suit you?",
                "Would {date} around {time} be better?",
            ]),
            U(&["Yes, please.", "Can you bring it to {street} instead?", "I'd rather pick it up."]),
            Tool(
                "change_delivery",
                r#"{"tracking": "{order}", "day": "{date}", "address": "{street}"}"#,
                r#"{"accepted": true, "window": "{time}"}"#,
                480.0,
            ),
            A(&[
                "Done. It comes on {date}, about {time}.",
                "That's arranged for {date}. You'll get a text when the driver is near.",
            ]),
            Sometimes(
                25,
                &[
                    U(&["Do I have to sign for it?", "Is there a charge?"]),
                    A(&["No, you don't.", "Not this time."]),
                ],
            ),
            U(&["Great, thanks.", "Thank you, bye bye."]),
        ],
        summary: "The delivery of a {item} for {full} was moved to {date}.",
        findings: r#"{"intent": "reschedule", "day": "{date}"}"#,
        desk: "+12025550193",
    },
    Scenario {
        name: "pharmacy_refill",
        agent: Agent {
            id: "ep_demo_pharmacy",
            name: "Greenleaf Pharmacy: refills",
            provider: "pipecat",
            number: "+12025550105",
        },
        outbound_percent: 20,
        greetings: [
            &["Greenleaf Pharmacy refill line. Please enter the prescription number on your keypad."],
            &[
                "Hello {name}, your {drug} is due for a refill. Please enter your prescription number to confirm.",
            ],
        ],
        steps: &[
            Keys("{digits}"),
            Tool(
                "find_prescription",
                r#"{"number": "{digits}"}"#,
                r#"{"drug": "{drug}", "refills_left": 2}"#,
                310.0,
            ),
            A(&[
                "I found your {drug}, with two refills left. Shall I prepare one?",
                "That's {drug}. Would you like a refill?",
            ]),
            U(&["Yes, please.", "Yes. When can I get it?"]),
            A(&[
                "It will be ready on {date} after {time}.",
                "You can pick it up on {date}. Would you like a text?",
            ]),
            Sometimes(
                30,
                &[
                    U(&["Can I take it together with grapefruit juice?", "Is there a cheaper one?"]),
                    A(&[
                        "The pharmacist can tell you when you pick it up.",
                        "I'll leave a note for the pharmacist to call you.",
                    ]),
                ],
            ),
            U(&["Okay, thank you.", "Perfect. Bye."]),
        ],
        summary: "{full} asked for a refill of {drug}; it is ready on {date}.",
        findings: r#"{"intent": "refill", "refills_left": 1}"#,
        desk: "+12025550194",
    },
    Scenario {
        name: "hotel_reservation",
        agent: Agent {
            id: "ep_demo_hotel",
            name: "Hotel Meridian: reservations",
            provider: "vapi",
            number: "+12025550106",
        },
        outbound_percent: 5,
        greetings: [
            &[
                "Hotel Meridian, good day! How can I help you?",
                "Reservations at Hotel Meridian, this is Lea.",
            ],
            &["Hello {name}, this is Hotel Meridian about your stay on {date}."],
        ],
        steps: &[
            U(&[
                "Do you have a {room} for {nights} nights from {date}?",
                "I'd like to book a {room}, please.",
                "Hello, I need a room for {nights} nights.",
            ]),
            Tool(
                "check_rooms",
                r#"{"from": "{date}", "nights": {nights}, "kind": "{room}"}"#,
                r#"{"free": 3, "rate": "{amount}"}"#,
                520.0,
            ),
            A(&[
                "We have a {room} from {date}, {nights} nights, at {amount} dollars in all.",
                "Yes, there is a {room}. It comes to {amount} dollars for {nights} nights.",
            ]),
            U(&["Does that include breakfast?", "Can I cancel that?", "That sounds good."]),
            A(&[
                "Breakfast is included, and you can cancel until the day before.",
                "Yes, it does. May I have your name?",
            ]),
            U(&["My name is {full}.", "{full}. Please book it."]),
            Tool(
                "book_room",
                r#"{"guest": "{full}", "nights": {nights}}"#,
                r#"{"confirmation": "{reference}"}"#,
                780.0,
            ),
            A(&[
                "Thank you, {name}. Your confirmation is {reference}.",
                "It's booked. We look forward to seeing you on {date}!",
            ]),
            U(&["Wonderful, thank you.", "Thanks, see you then."]),
        ],
        summary: "{full} reserved a {room} for {nights} nights from {date} ({reference}).",
        findings: r#"{"intent": "reserve", "nights": {nights}, "value": "{amount}"}"#,
        desk: "+12025550195",
    },
    Scenario {
        name: "tech_support",
        agent: Agent {
            id: "ep_demo_support",
            name: "Quickline Internet: support",
            provider: "retell",
            number: "+12025550107",
        },
        outbound_percent: 0,
        greetings: [
            &[
                "Quickline support, what seems to be the problem?",
                "Hi, this is Quickline. What can I fix for you?",
            ],
            &["Hello, this is Quickline support calling back."],
        ],
        steps: &[
            U(&[
                "My {device} keeps losing the connection.",
                "The internet is down again.",
                "Nothing works since this morning!",
            ]),
            A(&[
                "I'm sorry to hear that. Let me test your line.",
                "That's annoying. One moment, I'll run a test.",
            ]),
            Tool(
                "test_line",
                r#"{"customer_id": "{customer}"}"#,
                r#"{"sync": true, "loss": 0.07, "uptime_hours": 912}"#,
                1900.0,
            ),
            A(&[
                "The line is fine, but the {device} has run for thirty-eight days. Could you restart it?",
                "I see some loss. Please unplug the {device} for ten seconds.",
            ]),
            U(&["Okay, hold on. It's restarting.", "Alright, one moment. I've pulled the plug."]),
            Sometimes(
                45,
                &[
                    A(&["Take your time.", "Tell me when the light is green."]),
                    U(&["It's blinking. Now it's green.", "The light is on again."]),
                ],
            ),
            A(&[
                "Could you open a page and see whether it works now?",
                "I see it on the line again. Is it better?",
            ]),
            U(&["Yes, it works. Thank you!", "It does. Great.", "Seems so. Let's see how long."]),
            A(&["Glad to hear it. Have a nice day!", "If it happens again, just call. Goodbye!"]),
        ],
        summary: "{full}'s {device} lost its connection; a restart helped.",
        findings: r#"{"intent": "repair", "device": "{device}", "resolved": true}"#,
        desk: "+12025550196",
    },
    Scenario {
        name: "lead_qualification",
        agent: Agent {
            id: "ep_demo_leads",
            name: "Tessera Software: outreach",
            provider: "bland",
            number: "+12025550108",
        },
        outbound_percent: 95,
        greetings: [
            &["Tessera Software, this is Max. What brings you to us?"],
            &[
                "Hi {name}, Max from Tessera Software. You downloaded our guide. Do you have two minutes?",
                "Hello, is this {full}? Max here, from Tessera Software.",
            ],
        ],
        steps: &[
            U(&["Sure, go ahead.", "Yes, what is it about?", "I have a minute, not more."]),
            A(&["How many people at {company} would use it?", "May I ask how you handle your calls today?"]),
            U(&[
                "About {seats} people.",
                "In spreadsheets. About {seats} of us.",
                "It's {seats} seats at {company}.",
            ]),
            Sometimes(
                50,
                &[
                    A(&["And when would you like to start?", "Is there a budget for this year?"]),
                    U(&["This quarter.", "What does it cost?", "Not before {date}."]),
                ],
            ),
            Tool(
                "score_lead",
                r#"{"company": "{company}", "seats": {seats}}"#,
                r#"{"score": 74, "owner": "{doctor}"}"#,
                290.0,
            ),
            A(&[
                "I'd love to show it to you. Would {date} at {time} suit you?",
                "Shall we do a short demo on {date}?",
            ]),
            U(&["Yes, send me an invitation.", "Just send me an email, please.", "Okay, {time} works."]),
            A(&["Great, the invitation is on its way. Thank you!", "Will do. Thanks for your time, {name}."]),
        ],
        summary: "{full} of {company} ({seats} seats) agreed to a demonstration on {date}.",
        findings: r#"{"intent": "demo", "seats": {seats}, "qualified": true}"#,
        desk: "+12025550197",
    },
];
