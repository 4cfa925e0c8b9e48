"""What people are shown: SELECTs that return values. How they read on a screen is the business of whoever asked.

Every function takes a connection of :meth:`Store.read`, so several of them see one state of the store. A page costs a fixed
number of statements, however long it is.
"""
