def maker(cls):
    return lambda part: cls(**part)
