"""Words that are synonyms in a question, and phrases that are one word.

General English, written by hand.
"""

# The first word of a group stands for the rest. Compared by stem, so one form is enough.
SYNONYMS = """
buy purchase bought; dollar $ usd buck; euro € eur; pound £ gbp quid; yen ¥ jpy; rupee ₹ inr; percent %; start begin commence began begun;
stop halt; finish complete; enable activate; disable deactivate; cancel terminate; delete erase; remove eliminate; change modify alter
edit amend; repair fix mend; reply respond; answer response; child kid children; movie film; car automobile auto; phone telephone
cellphone; photo picture pic photograph; flat apartment; doctor physician; lawyer attorney; holiday vacation; journey trip travel; rubbish
trash garbage; store shop; autumn fall; quick fast rapid speedy; big large huge; little small tiny; expensive pricey; cheap inexpensive
affordable; nearby near; nearest closest; job employment; salary wage; error mistake; ill sick; glad happy; sad unhappy; difficult hard
tough; easy simple; wrong incorrect; quiet silent; permit allow; forbid prohibit ban; assist aid; choose select pick chose chosen; several
multiple; show display; explain clarify describe; build construct built; create generate; send transmit sent submit; speak talk spoke
spoken; shut close; rent lease; book reserve booking reservation; buddy friend; main primary; maximum max; minimum min; yearly annual
annually; way method; cost price; fee charge; cab taxi; bike bicycle; motorcycle motorbike; plane airplane aeroplane aircraft; luggage
baggage; sofa couch; tv television; fridge refrigerator; email mail; app application; info information; address location; document doc
paperwork; license licence; colour color; favourite favorite; organise organize; centre center; metre meter; litre liter; programme
program; grey gray; tyre tire; recognise recognize; apologise apologize; analyse analyze; optimise optimize; customise customize;
normalise normalize; authorise authorize; mom mum mother; dad father; happen occur; forget forgot forgotten; lose lost; pay paid; sell
sold; freeze froze frozen; break broke broken; steal stole stolen; write wrote written; wear wore worn; spend spent; drive drove driven;
fly flew flown; grow grew grown; eat ate eaten; drink drank drunk; think thought; teach taught; catch caught; bring brought; man men;
woman women; person people persons; foot feet; tooth teeth; mouse mice; yes yeah yep yup; meal dish; town city; gift present; recover
regain retrieve; find found; verify confirm; contact reach; postcode zipcode; atm cashpoint; macos mac osx; javascript js; uk britain;
kilometre kilometer; vegetarian veggie; teenager teen; transfer move; quote quotation; dispute challenge; affect impact influence; predict
forecast; improve enhance; decrease reduce; increase boost; launch release; intelligent smart clever; stupid dumb; important significant;
necessary essential; dangerous risky unsafe; afraid scared; cook prepare; kind type sort; company firm business; boss manager; colleague
coworker; student pupil; soccer football; petrol gas gasoline; truck lorry; elevator lift; pavement sidewalk; toilet restroom bathroom
washroom; takeaway takeout; queue line; subway underground metro tube; motorway highway freeway; timetable schedule; mathematics math
maths; exam test examination; university college; grandmother grandma; grandfather grandpa; computer pc
"""

# Phrases of two words and the one they become; hello stands for any politeness.
JOINED_PHRASES = """
log in=login, log into=login, log on=login, sign in=login, sign into=login, log out=logout, log off=logout, sign out=logout, sign
off=logout, sign up=register, set up=setup, back up=backup, turn on=enable, switch on=enable, turn off=disable, switch off=disable, opt
in=optin, opt into=optin, opt out=optout, check in=checkin, check out=checkout, zoom in=zoomin, zoom out=zoomout, most expensive=priciest,
least expensive=cheapest, most affordable=cheapest, one way=oneway, round trip=roundtrip, part time=parttime, full time=fulltime, non
smoking=nonsmoking, non refundable=nonrefundable, pick up=collect, drop off=deliver, find out=learn, look for=find, search for=find, get
rid=remove, fill out=complete, fill in=complete, hand in=submit, top up=topup, front end=frontend, back end=backend, zip code=zipcode,
post code=postcode, mac os=macos, at least=atleast, at most=atmost, no longer=not, anything but=not, up to=upto, per cent=percent, e
mail=email, wi fi=wifi, no idea=unsure, not know=unsure, not sure=unsure, or not=or, nice day=hello, great day=hello, looking
forward=hello, in advance=hello, best regards=hello, kind regards=hello, best wishes=hello, hey there=hello, hi there=hello, hello
there=hello, quick question=hello
"""
