logout-title = Sign out
logout-what = This ends the sign-in of this browser, whoever’s it is.
logout-stay = Stay signed in

signed-out = You are signed out.
signed-out-everywhere = You are signed out on all devices.
