# The tour of a development server. What it says of each flow comes from tour/scripts.rs, for the terminal as well.

tour-title = The tour
tour-what = Sign-in, flow by flow, with a JWT on the left and a session id on the right. What you see really happened: in a small server of its own, which is gone afterwards. It shares no data with this one.
tour-flows = Flows
tour-choose = Choose a flow
    .hint = Each arrow opens what it carried. At the end you can break what you saw.
tour-needs-scripts = This page needs JavaScript. In a terminal, { $command } shows the same.
